/** `detail-guidance demo`: a contact sheet with a row a class and a column a guidance, every row from the same noise. */
import { resolve } from 'node:path';

import { Command } from 'commander';

import type { Bundle } from '../bundle';
import type { GeneratedImage } from '../call/result';
import { mostImages } from '../request/generateOptions';
import type { Seed } from '../request/seeds';
import { invalid } from '../validation/invalid';
import { checkWritable, writeFileAtomic } from '../files/atomic';
import { asciiJson, encodePng } from '../image/png';
import { rasterise } from '../image/rasterise';
import { composeSheet, type Sheet } from '../image/sheet';
import { loadPipeline, type Pipeline } from '../pipeline';
import { version } from '../files/version';

import { printJson } from './failure';
import { addGuidanceOptions, guidanceFromFlags, type GuidanceFlags } from './guidance';
import { addSampleOptions, loadOptionsOf, type SampleFlags } from './load';
import { interruptible } from './interrupt';
import { startProgress } from './progressBar';
import { say } from './quiet';
import { parseSeed, parseWhole } from './values';
import { demoVariants, type Variant } from './variants';

interface DemoFlags extends GuidanceFlags, SampleFlags {
  out: string;
  steps?: number;
  seed: Seed;
  imagesPerClass: number;
  json?: boolean;
}

interface Column extends Variant {
  images: GeneratedImage[];
  seconds: number;
}

/** A sheet of a thousand classes would be no sheet. */
const mostRows = 10;

export function demoCommand(): Command {
  const command = new Command('demo')
    .description('sample every class under five guidances and write a labelled contact sheet')
    .argument('[bundle]', "folder of a bundle, or 'embedded'", 'embedded')
    .option('-o, --out <file>', 'the sheet', 'demo.png')
    .option('--steps <count>', "sampling steps (default: the bundle's)", parseWhole)
    .option('--seed <seed>', 'seed of the first picture of the first row; the next one takes the next', parseSeed, 0)
    .option('--images-per-class <count>', 'pictures of each class in each column', parseWhole, 2);
  addSampleOptions(addGuidanceOptions(command));
  return command
    .option('--json', 'print what was done as one JSON document')
    .action((bundle: string, flags: Omit<DemoFlags, 'guidance'>) =>
      interruptible((signal) => runDemo(bundle, { ...flags, guidance: true }, signal)),
    );
}

async function runDemo(location: string, flags: DemoFlags, signal: AbortSignal): Promise<void> {
  const file = resolve(flags.out);
  await checkWritable(file);
  const pipeline = await loadPipeline(location, { ...loadOptionsOf(flags), signal });
  try {
    const { bundle } = pipeline;
    const classes = classNames(bundle).slice(0, mostRows);
    const most = Math.floor(mostImages / classes.length);
    if (flags.imagesPerClass < 1 || flags.imagesPerClass > most) {
      throw invalid('--images-per-class', `a whole number from 1 to ${most}`, flags.imagesPerClass);
    }
    const variants = demoVariants(guidanceFromFlags(flags, bundle), bundle);
    const steps = flags.steps ?? bundle.defaults?.numInferenceSteps ?? 30;
    const columns = await sampleColumns(pipeline, variants, classes.length, steps, flags, signal);
    const pictures = columns[0]!.images;
    const seeds = classes.map((_, row) => {
      const first = row * flags.imagesPerClass;
      return pictures.slice(first, first + flags.imagesPerClass).map(({ seed }) => seed);
    });
    const sheet = composeSheet(layOut(pipeline, columns, classes, seeds, steps));
    const record = {
      version: version(),
      bundle: { name: bundle.name, transformer: bundle.files[bundle.transformer.file]?.sha256 },
      device: pipeline.device,
      dtype: pipeline.dtype,
      numInferenceSteps: steps,
      rows: classes.map((label, row) => ({ label, seeds: seeds[row] })),
      columns: columns.map(({ title, guidance }) => ({ title, guidance })),
    };
    const picture = await rasterise(sheet, 2);
    // Another key than a picture's own: a sheet has five plans and cannot be made again by one call of generate().
    const png = encodePng({ ...picture, text: { 'detail-guidance-sheet': asciiJson(record) } });
    await writeFileAtomic(file, png, signal);
    if (flags.json) {
      printJson({
        file,
        width: picture.width,
        height: picture.height,
        ...record,
        seconds: columns.map((c) => c.seconds),
      });
    } else {
      say(file, process.stdout);
    }
  } finally {
    await pipeline.dispose();
  }
}

async function sampleColumns(
  pipeline: Pipeline,
  variants: Variant[],
  rows: number,
  steps: number,
  flags: DemoFlags,
  signal: AbortSignal,
): Promise<Column[]> {
  const picturesOfColumn = rows * flags.imagesPerClass;
  const progress = startProgress(variants.length * picturesOfColumn, 'pictures');
  const columns: Column[] = [];
  try {
    for (const [index, variant] of variants.entries()) {
      const started = performance.now();
      progress.update(index * picturesOfColumn, variant.title);
      const { images } = await pipeline.generate({
        classLabel: Array.from({ length: picturesOfColumn }, (_, image) => Math.floor(image / flags.imagesPerClass)),
        numImages: picturesOfColumn,
        seed: flags.seed,
        numInferenceSteps: steps,
        guidance: variant.guidance,
        signal,
        batchSize: flags.batchSize,
        onStep: ({ fraction }) =>
          progress.update(index * picturesOfColumn + Math.floor(fraction * picturesOfColumn), variant.title),
      });
      columns.push({ ...variant, images, seconds: (performance.now() - started) / 1000 });
    }
  } finally {
    progress.stop();
  }
  return columns;
}

function layOut(pipeline: Pipeline, columns: Column[], classes: string[], seeds: Seed[][], steps: number): Sheet {
  const { bundle } = pipeline;
  const perClass = seeds[0]?.length ?? 0;
  const { file } = bundle.transformer;
  return {
    title: 'Detail Guidance',
    subtitle: [
      `${bundle.name}, ${steps} steps (${bundle.scheduler.kind}). A row is a class; its columns start from the same noise,`,
      'and only the guidance differs. D(c) is the model, Dₘ(c) the same model with the massive activations of one layer disrupted.',
    ],
    columns,
    rows: classes.map((label, row) => ({
      label,
      detail: `seed ${seeds[row]!.join(', ')}`,
      images: columns.map(({ images }) => images.slice(row * perClass, (row + 1) * perClass)),
    })),
    footer: [
      `${bundle.name} (${bundle.licence}), ${pipeline.size.parameters.toLocaleString('en-GB')} parameters, ${file} sha256 ${bundle.files[file]!.sha256.slice(0, 12)}`,
      `detail-guidance ${version()}, ${pipeline.device}, ${pipeline.dtype}`,
    ],
  };
}

function classNames({ name, conditioning }: Bundle): string[] {
  if (conditioning.kind !== 'class') {
    throw invalid(`The bundle ${name}`, 'conditioning by class', conditioning.kind, {
      note: 'its classes are the rows',
    });
  }
  const { labels, numClasses } = conditioning;
  return Array.from({ length: numClasses }, (_, index) => labels?.[index] ?? `class ${index}`);
}
