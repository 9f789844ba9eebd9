/** `detail-guidance intervene`: what disrupting massive activations does to pictures, against its controls. */
import { resolve } from 'node:path';

import { Command } from 'commander';

import { runInterventions, type InterventionResult } from '../evaluation';
import { checkWritable, writeFileAtomic } from '../files/atomic';
import { encodePng } from '../image/png';
import { rasterise } from '../image/rasterise';
import { composeSheet, type Sheet } from '../image/sheet';
import { loadPipeline, type Pipeline } from '../pipeline';

import { interval } from './evaluate';
import { printJson } from './failure';
import { interruptible } from './interrupt';
import { addSampleOptions, loadOptionsOf, type SampleFlags } from './load';
import { addNetworkOptions, networkFromFlags } from './network';
import { print } from './print';
import { startProgress, type Progress } from './progressBar';
import { addPromptOptions, promptsInTurn, readPrompts, type PromptFlags } from './prompts';
import { table } from './table';
import { parseChannels, parseNumber, parseWhole } from './values';

interface InterveneFlags extends SampleFlags, PromptFlags {
  samples?: number;
  seed?: number;
  steps?: number;
  layer?: number;
  channels?: number[] | 'auto';
  retention?: number;
  draws?: number;
  tokenShare?: number;
  sigma?: number;
  classifier?: string | false;
  cutoff?: number;
  out?: string;
  sheet?: string;
  json?: boolean;
}

/** Rows of a sheet. */
const mostRows = 10;

export function interveneCommand(): Command {
  const command = new Command('intervene')
    .description('disrupt massive activations, other channels, tokens; measure what changes in the pictures')
    .argument('<bundle>', "folder of a bundle, or 'embedded'")
    .option('-n, --samples <count>', 'pictures, one a seed (default: 100)', parseWhole)
    .option('--seed <seed>', 'seed of the first picture; the next one takes the next (default: 0)', parseWhole)
    .option('--steps <count>', "sampling steps (default: the bundle's)", parseWhole)
    .option('--layer <index>', "block after which is disrupted, from 0 (default: the bundle's)", parseWhole)
    .option('--channels <list>', "channels: 12,49,32 (default: the bundle's)", parseChannels)
    .option('--retention <rho>', 'share of those channels that remains (default: 0)', parseNumber)
    .option('--draws <count>', 'draws of other channels for the matched control (default: 3)', parseWhole)
    .option('--token-share <share>', 'share of the tokens in the random-tokens control (default: 0.5)', parseNumber)
    .option('--sigma <tokens>', 'standard deviation of the blurred control, in tokens (default: 1)', parseNumber)
    .option('--cutoff <frequency>', 'where high frequencies begin, in cycles per pixel (default: 0.25)', parseNumber);
  addNetworkOptions(command, 'classifier', "TorchScript file of a classifier (default: the bundle's)");
  return addSampleOptions(addPromptOptions(command.option('--no-classifier', 'without classifier')))
    .option('-o, --out <file>', 'write the result there, as JSON')
    .option('--sheet <file>', 'draw the first pictures of every intervention side by side')
    .option('--json', 'print the result as one JSON document')
    .action((bundle: string, flags: InterveneFlags) => interruptible((signal) => runIntervene(bundle, flags, signal)));
}

async function runIntervene(location: string, flags: InterveneFlags, signal: AbortSignal): Promise<void> {
  for (const file of [flags.out, flags.sheet]) if (file !== undefined) await checkWritable(resolve(file));
  const prompts = await readPrompts(flags);
  const pipeline = await loadPipeline(location, { ...loadOptionsOf(flags), signal });
  const bar: { progress?: Progress } = {};
  try {
    const { samples, seed, layer, channels, retention, draws, tokenShare, sigma, cutoff, batchSize } = flags;
    const result = await runInterventions(pipeline, {
      request: promptsInTurn(prompts),
      samples,
      seed,
      numInferenceSteps: flags.steps,
      layer,
      channels,
      retention,
      draws,
      tokenShare,
      sigma,
      cutoff,
      batchSize,
      classifier: flags.classifier === false ? null : networkFromFlags(flags, 'classifier'),
      pictures: flags.sheet === undefined ? 0 : mostRows,
      signal,
      onProgress: (done, total, name) => {
        bar.progress ??= startProgress(total, 'pictures');
        bar.progress.update(Math.floor(done), name);
      },
    });
    bar.progress?.stop();
    const document = withoutPictures(result);
    if (flags.sheet !== undefined) await drawSheet(resolve(flags.sheet), result, pipeline, signal);
    if (flags.out !== undefined) {
      const bytes = new TextEncoder().encode(`${JSON.stringify(document, null, 2)}\n`);
      await writeFileAtomic(resolve(flags.out), bytes, signal);
    }
    if (flags.json) printJson(document);
    else print(inWords(result));
  } finally {
    bar.progress?.stop();
    await pipeline.dispose();
  }
}

/** Pixels are for the sheet. */
function withoutPictures(result: InterventionResult) {
  const strip = <Part extends { pictures: unknown }>({ pictures: _, ...rest }: Part) => rest;
  return { ...result, undisturbed: strip(result.undisturbed), interventions: result.interventions.map(strip) };
}

async function drawSheet(
  file: string,
  { undisturbed, interventions, samples, seed, numInferenceSteps }: InterventionResult,
  { bundle }: Pipeline,
  signal: AbortSignal,
): Promise<void> {
  const columns = [{ name: 'undisturbed', pictures: undisturbed.pictures }, ...interventions];
  const labels = bundle.conditioning.kind === 'class' ? bundle.conditioning.labels : undefined;
  const sheet: Sheet = {
    title: 'Interventions',
    subtitle: [`${bundle.name}, ${numInferenceSteps} steps. A row is a seed; its columns start from the same noise.`],
    columns: columns.map(({ name }) => {
      // Columns are narrow: the rest of the name goes into the small print.
      const [title, ...rest] = name.split(' ');
      return { title: title!, detail: rest.length > 0 ? [rest.join(' ')] : [] };
    }),
    rows: undisturbed.pictures.map((_, row) => ({
      label: labels?.[row % labels.length] ?? `picture ${row}`,
      detail: `seed ${seed + row}`,
      images: columns.map(({ pictures }) => [pictures[row]!]),
    })),
    footer: [`the first ${undisturbed.pictures.length} of ${samples} pictures`],
  };
  await writeFileAtomic(file, encodePng(await rasterise(composeSheet(sheet), 2)), signal);
}

/** The figures as a table, and how to read them. */
export function inWords(result: InterventionResult): string {
  const decibels = (estimate: InterventionResult['interventions'][number]['bands']['low']['snr']) =>
    estimate ? interval(estimate, 1, 1) : 'equal';
  const rows = result.interventions.map(({ name, highShareRatio, spectrumDistance, sameClass, recognised, bands }) => [
    name,
    interval(highShareRatio, 1, 2),
    spectrumDistance.toFixed(2),
    sameClass ? interval(sameClass, 100, 1) : '-',
    recognised ? interval(recognised, 100, 1) : '-',
    decibels(bands.low.snr),
    decibels(bands.high.snr),
    interval(bands.low.ssim, 1, 3),
    interval(bands.high.ssim, 1, 3),
  ]);
  const heads = ['intervention', 'high ×', 'spectrum dB', 'same class %', 'recognised %'];
  const more = ['SNR low dB', 'SNR high dB', 'SSIM low', 'SSIM high'];
  const { undisturbed } = result;
  const named = undisturbed.recognised ? `, recognised ${interval(undisturbed.recognised, 100, 1)} %` : '';
  return [
    ...table([[...heads, ...more], ...rows], { right: true }),
    '',
    `undisturbed: ${interval(undisturbed.highShare, 100, 2)} % of the energy above ${result.cutoff} cycles per pixel${named}.`,
    'high ×: that share by the undisturbed one. same class: the classifier sees what it sees in the undisturbed picture.',
    'SNR and SSIM: against the undisturbed picture, in its low and its high frequencies. In brackets 95 % intervals over seeds.',
    `${result.bundle.name}, ${result.samples} pictures from seed ${result.seed}, ${result.numInferenceSteps} steps.`,
    '',
  ].join('\n');
}
