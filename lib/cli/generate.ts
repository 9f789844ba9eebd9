/** `detail-guidance generate`: pictures of one class, each a PNG that carries the plan it was made by. */
import { readFile } from 'node:fs/promises';
import { parse as parsePath, join, resolve } from 'node:path';

import { Command, Option } from 'commander';

import { DetailGuidanceError } from '../errors';
import { presetNames } from '../guidance';
import { checkWritable } from '../image/atomic';
import type { GenerateOptions } from '../options/generate';
import { loadPipeline, type Pipeline } from '../pipeline';
import { decodeSafetensors, type Tensor } from '../tensor';

import { printJson } from './failure';
import { addGuidanceOptions, guidanceFromFlags, type GuidanceFlags } from './guidance';
import { interruptible } from './interrupt';
import { addSampleOptions, type SampleFlags } from './load';
import { startProgress } from './progress';
import { parseClass, parseWhole } from './values';

interface GenerateFlags extends GuidanceFlags, SampleFlags {
  class?: number | string;
  seed: number;
  steps?: number;
  numImages?: number;
  latents?: string;
  out: string;
  explain?: boolean;
  json?: boolean;
}

export function generateCommand(): Command {
  const command = new Command('generate')
    .description('sample pictures with the guidance of the bundle, or with the one given here')
    .argument('<bundle>', "folder of a bundle, or 'embedded'")
    .option('-c, --class <class>', 'class, by number or label', parseClass)
    .option('--seed <seed>', 'seed of the first picture; the next one takes the next', parseWhole, 0)
    .option('--steps <count>', "sampling steps (default: the bundle's)", parseWhole)
    .option('-n, --num-images <count>', 'pictures (default: 1, or as many as --latents holds)', parseWhole)
    .addOption(new Option('--preset <name>', "a preset in place of the bundle's guidance").choices(presetNames))
    .option('--no-guidance', 'the conditional prediction alone');
  addSampleOptions(addGuidanceOptions(command));
  return command
    .option(
      '--latents <file>',
      "safetensors file whose tensor 'latents' [images, channels, height, width] replaces the noise of the seed",
    )
    .option('-o, --out <file>', 'the picture; several are numbered: name-0.png, name-1.png', 'sample.png')
    .option('--explain', 'print what would be computed in which step, and stop')
    .option('--json', 'print the plan, seeds and files as one JSON document')
    .action((bundle: string, flags: GenerateFlags) => interruptible((signal) => runGenerate(bundle, flags, signal)));
}

async function runGenerate(location: string, flags: GenerateFlags, signal: AbortSignal): Promise<void> {
  const latents = flags.latents === undefined ? undefined : await readLatents(flags.latents);
  const files = outputFiles(flags.out, flags.numImages ?? latents?.shape[0] ?? 1);
  if (!flags.explain) await checkWritable(files[0]!);
  const pipeline = await loadPipeline(location, { device: flags.device, dtype: flags.dtype, signal });
  try {
    const options = requestOf(flags, latents, pipeline);
    if (flags.explain) {
      const explanation = pipeline.plan(options).explain();
      if (flags.json) printJson(explanation);
      else process.stdout.write(`${explanation.text}\n`);
      return;
    }
    const result = await sample(pipeline, options, files.length, signal);
    for (const [index, image] of result.images.entries()) {
      // Between the files, not inside: a picture that is there is whole.
      signal.throwIfAborted();
      await image.save(files[index]!);
    }
    if (flags.json) {
      const images = result.images.map(({ seed, width, height, channels }, index) => ({
        file: files[index],
        seed,
        width,
        height,
        channels,
      }));
      printJson({
        bundle: pipeline.bundle.name,
        device: pipeline.device,
        dtype: pipeline.dtype,
        images,
        plan: result.plan,
      });
    } else {
      process.stdout.write(`${files.join('\n')}\n`);
    }
  } finally {
    await pipeline.dispose();
  }
}

function requestOf(flags: GenerateFlags, latents: Tensor | undefined, { bundle }: Pipeline): GenerateOptions {
  return {
    classLabel: flags.class,
    seed: flags.seed,
    latents,
    numImages: flags.numImages,
    numInferenceSteps: flags.steps,
    guidance: guidanceFromFlags(flags, bundle),
    batchSize: flags.batchSize,
  };
}

async function sample(pipeline: Pipeline, options: GenerateOptions, pictures: number, signal: AbortSignal) {
  const steps = options.numInferenceSteps ?? pipeline.bundle.defaults?.numInferenceSteps ?? 30;
  const progress = startProgress(pictures * steps, 'steps');
  try {
    return await pipeline.generate({
      ...options,
      signal,
      onStep: ({ fraction, image }) => {
        const doing = pictures === 1 ? 'sampling' : `picture ${image + 1} of ${pictures}`;
        progress.update(Math.floor(fraction * pictures * steps), doing);
      },
    });
  } finally {
    progress.stop();
  }
}

/** `cat.png` for one picture; `cat-0.png`, `cat-1.png`, … for several. */
function outputFiles(out: string, count: number): string[] {
  const { dir, name, ext } = parsePath(resolve(out));
  if (count === 1) return [join(dir, name + (ext || '.png'))];
  return Array.from({ length: Math.max(1, count) }, (_, index) => join(dir, `${name}-${index}${ext || '.png'}`));
}

async function readLatents(file: string): Promise<Tensor> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new DetailGuidanceError('BAD_OPTION', `The file of latents ${file} cannot be read.`, {
      found: file,
      expected: 'a safetensors file',
      cause,
    });
  });
  const { tensors } = decodeSafetensors(bytes);
  const latents = tensors['latents'];
  if (!latents) {
    throw new DetailGuidanceError('BAD_TENSOR', `${file} has no tensor named 'latents'.`, {
      found: Object.keys(tensors),
      expected: "a tensor 'latents' [images, channels, height, width]",
    });
  }
  return latents;
}
