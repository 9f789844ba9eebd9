/** `detail-guidance quantize`: a bundle with 8 bit weights, or a report of what 8 bits cost it. */
import { join } from 'node:path';

import { Command, Option } from 'commander';

import { reportQuantization, type QuantizationComparison } from '../analysis/quantizationReport';
import { writeNewFolder, writeSynced, checkNewFolder } from '../files/newFolder';
import { drawLineChart, type LineChart } from '../image/lineChart';
import { encodePng } from '../image/png';
import { quantizeBundle } from '../model/quantizeBundle';
import { activationScopes, weightFormats, type ActivationScope, type WeightFormat } from '../native';
import { invalid } from '../validation/invalid';

import { printJson } from './failure';
import { interruptible } from './interrupt';
import { print } from './print';
import { startProgress } from './progressBar';
import { addPromptOptions, readPrompts, type PromptFlags } from './prompts';
import { table } from './table';
import { parseWhole } from './values';

interface QuantizeFlags extends PromptFlags {
  out?: string;
  report?: string;
  keep?: string[];
  weights: WeightFormat;
  activations: ActivationScope;
  massive: boolean;
  device: string;
  pictures: number;
  seed: number;
  steps?: number;
  json?: boolean;
}

export function quantizeCommand(): Command {
  const command = new Command('quantize')
    .description("store a bundle's linear layers in 8 bits, or report what that costs it")
    .argument('<bundle>', "folder of a bundle, or 'embedded'")
    .option('-o, --out <folder>', 'the new bundle, a folder that does not exist yet; a call that was cut short goes on')
    .option('--report <folder>', 'compare ways to quantise with float32 instead, in a folder that does not exist yet')
    .option('--keep <pattern...>', 'layers that are not quantised: paths, * for one part of one, ** for any number')
    .addOption(new Option('--weights <format>', 'what weights become').choices([...weightFormats]).default('int8'))
    .addOption(
      new Option('--activations <scale>', 'what shares a scale of the activations; none: they are not quantised')
        .choices([...activationScopes])
        .default('per-token'),
    )
    .option('--no-massive', 'quantise massive channels like all others')
    .option('--device <device>', 'that the report compares on: cpu, cuda, cuda:N, or auto', 'cpu')
    .option('--pictures <count>', 'of the report, for each way', parseWhole, 32)
    .option('--seed <seed>', 'of the first picture of the report', parseWhole, 0)
    .option('--steps <count>', "sampling steps of the report's pictures (default: the bundle's)", parseWhole);
  return addPromptOptions(command)
    .option('--json', 'print what was written, or the report, as one JSON document')
    .action((bundle: string, flags: QuantizeFlags) =>
      interruptible((signal) =>
        flags.report === undefined ? store(bundle, flags, signal) : report(bundle, flags, flags.report, signal),
      ),
    );
}

async function store(bundle: string, flags: QuantizeFlags, signal: AbortSignal): Promise<void> {
  const { out, keep, weights, activations, massive, json } = flags;
  if (out === undefined) throw invalid('--out or --report', 'a folder that does not exist yet', out);
  let progress: ReturnType<typeof startProgress> | undefined;
  try {
    const folder = await quantizeBundle(bundle, {
      out,
      quantize: { ...(keep ? { keep } : {}), weights, activations, ...(massive ? {} : { channels: [] }) },
      onProgress: ({ file, done, files }) => {
        progress ??= startProgress(files, 'files');
        progress.update(done, file);
      },
      signal,
    });
    progress?.stop();
    if (json) printJson({ folder });
    else process.stdout.write(`${folder}\n`);
  } finally {
    progress?.stop();
  }
}

async function report(bundle: string, flags: QuantizeFlags, out: string, signal: AbortSignal): Promise<void> {
  await checkNewFolder(out);
  const prompts = await readPrompts(flags);
  let progress: ReturnType<typeof startProgress> | undefined;
  try {
    const comparison = await reportQuantization(bundle, {
      device: flags.device,
      pictures: flags.pictures,
      seed: flags.seed,
      ...(flags.steps === undefined ? {} : { numInferenceSteps: flags.steps }),
      ...(prompts ? { conditions: prompts.map((prompt) => ({ prompt })) } : {}),
      onProgress: (done, total, name) => {
        progress ??= startProgress(total, 'ways');
        progress.update(done, name);
      },
      signal,
    });
    const lines = inWords(comparison);
    await writeNewFolder(out, async (folder) => {
      await writeSynced(join(folder, 'quantization.json'), `${JSON.stringify(comparison, null, 2)}\n`, signal);
      await writeSynced(join(folder, 'quantization.txt'), lines, signal);
      for (const [name, chart] of Object.entries(charts(comparison))) {
        await writeSynced(join(folder, `${name}.png`), encodePng(await drawLineChart(chart)), signal);
      }
    });
    progress?.stop();
    if (flags.json) printJson(comparison);
    else print(lines);
  } finally {
    progress?.stop();
  }
}

const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const percent = (value: number) => `${(100 * value).toFixed(2)} %`;
const decibels = (value: number | null) => (value === null ? 'equal' : `${value.toFixed(1)} dB`);

function inWords({ name, device, pictures, numInferenceSteps, times, ways, ...rest }: QuantizationComparison): string {
  const channels = `massive channels ${rest.channels.join(', ')}; others ${rest.others.join(', ')}`;
  const about = `${name} on ${device}: ${pictures} pictures of ${numInferenceSteps} steps, against float32; ${channels}`;
  const rows = [
    ['', 'error of an evaluation', 'last block', 'PSNR', 'PSNR with DG', 'change by DG: cosine', 'norm'],
    ...ways.map((way) => [
      way.name,
      percent(mean(way.output)),
      percent(mean(way.layers.at(-1) ?? [])),
      decibels(way.psnr),
      decibels(way.detailPsnr),
      way.detailCosine.toFixed(3),
      way.detailNorm.toFixed(3),
    ]),
  ];
  const byTime = [
    ['error at time', ...times.map(String)],
    ...ways.map((way) => [way.name, ...way.output.map(percent)]),
  ];
  const leftOut = rest.leftOut.map(({ name, reason }) => `${name}: ${reason}\n`);
  return [about, '', ...table(rows, { right: true }), '', ...table(byTime, { right: true }), '', ...leftOut].join('\n');
}

function charts({ times, ways }: QuantizationComparison): Record<string, LineChart> {
  const y = 'relative error, %';
  return {
    layers: {
      title: 'Hidden state after each block, mean over times',
      x: 'layer',
      y,
      lines: ways.map(({ name, layers }) => ({
        name,
        points: layers.map((errors, layer) => ({ x: layer, y: 100 * mean(errors) })),
      })),
    },
    times: {
      title: 'One evaluation',
      x: 'time, 0 data to 1 noise',
      y,
      lines: ways.map(({ name, output }) => ({
        name,
        points: times.map((time, at) => ({ x: time, y: 100 * output[at]! })),
      })),
    },
  };
}
