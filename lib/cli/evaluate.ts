/** `detail-guidance evaluate`: generated pictures of one or several guidances against reference pictures. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';

import { Command, Option } from 'commander';

import { invalid, reasonOf } from '../validation/invalid';
import {
  distanceNames,
  evaluate,
  type Estimate,
  type EvaluateOptions,
  type EvaluationProgress,
  type EvaluationResult,
} from '../evaluation';
import { presetNames } from '../guidance';
import { loadPipeline } from '../pipeline';

import { printJson } from './failure';
import { addGuidanceOptions, guidanceFromFlags, type GuidanceFlags } from './guidance';
import { interruptible } from './interrupt';
import { addSampleOptions, loadOptionsOf, type SampleFlags } from './load';
import { addNetworkOptions, networkFromFlags } from './network';
import { print } from './print';
import { startProgress, type Progress } from './progressBar';
import { addPromptOptions, promptsInTurn, readPrompts, type PromptFlags } from './prompts';
import { table } from './table';
import { parseNumber, parseWhole } from './values';

interface EvaluateFlags extends GuidanceFlags, SampleFlags, PromptFlags {
  reference: string;
  out: string;
  resume?: boolean;
  settings?: string;
  samples?: number;
  seed?: number;
  steps?: number;
  classifier?: string | false;
  cutoff?: number;
  kernelSubsets?: number;
  kernelSubsetSize?: number;
  neighbours?: number;
  manifoldImages?: number;
  errorGroups?: number;
  json?: boolean;
}

export function evaluateCommand(): Command {
  const command = new Command('evaluate')
    .description(
      'compare generated pictures with reference pictures: distances, precision, recall, classifier, spectrum',
    )
    .argument('<bundle>', "folder of a bundle, or 'embedded'")
    .requiredOption(
      '--reference <path>',
      'folder of PNG, JPEG or WebP files, or an .npy or .safetensors file of uint8 pictures [N, H, W, C]',
    )
    .requiredOption('-o, --out <folder>', 'folder for samples, features and result.json; a new one, or with --resume')
    .option('--resume', 'go on with the evaluation in that folder');
  addNetworkOptions(command, 'features', "TorchScript file of the feature network (default: the bundle's)");
  addNetworkOptions(
    command,
    'classifier',
    "TorchScript file of a classifier of the bundle's classes (default: the bundle's)",
  );
  command
    .option('--no-classifier', 'without classifier')
    .option('-n, --samples <count>', 'pictures of each setting (default: 1000)', parseWhole)
    .option('--seed <seed>', 'seed of the first picture; the next one takes the next (default: 0)', parseWhole)
    .option('--steps <count>', "sampling steps (default: the bundle's)", parseWhole)
    .option('--settings <file>', 'JSON list of { "name", "guidance" }: several guidances on the same seeds')
    .addOption(new Option('--preset <name>', "a preset in place of the bundle's guidance").choices(presetNames))
    .option('--no-guidance', 'the conditional prediction alone');
  addSampleOptions(addGuidanceOptions(addPromptOptions(command)));
  return command
    .option('--cutoff <frequency>', 'where high frequencies begin, in cycles per pixel (default: 0.25)', parseNumber)
    .option('--kernel-subsets <count>', 'subsets of the kernel distance (default: 20)', parseWhole)
    .option('--kernel-subset-size <count>', 'pictures in each (default: 1000)', parseWhole)
    .option('--neighbours <k>', 'neighbours of precision and recall (default: 3)', parseWhole)
    .option('--manifold-images <count>', 'pictures of each set that they use (default: 5000)', parseWhole)
    .option(
      '--error-groups <count>',
      "groups of the Fréchet distance's standard error; 0: none (default: 20)",
      parseWhole,
    )
    .option('--json', 'print the result as one JSON document')
    .action((bundle: string, flags: EvaluateFlags) => interruptible((signal) => runEvaluate(bundle, flags, signal)));
}

async function runEvaluate(location: string, flags: EvaluateFlags, signal: AbortSignal): Promise<void> {
  const settings = flags.settings === undefined ? undefined : await readSettings(flags.settings);
  const prompts = await readPrompts(flags);
  const pipeline = await loadPipeline(location, { ...loadOptionsOf(flags), signal });
  const bar: { progress?: Progress } = {};
  try {
    const result = await evaluate(pipeline, {
      out: resolve(flags.out),
      resume: flags.resume,
      reference: flags.reference,
      features: networkFromFlags(flags, 'features'),
      classifier: flags.classifier === false ? null : networkFromFlags(flags, 'classifier'),
      // Without a name of its own in the command line, a single guidance is called after what it is.
      settings: settings ?? [{ name: 'guidance', guidance: guidanceFromFlags(flags, pipeline.bundle) }],
      request: promptsInTurn(prompts),
      samples: flags.samples,
      seed: flags.seed,
      numInferenceSteps: flags.steps,
      batchSize: flags.batchSize,
      cutoff: flags.cutoff,
      kernel: { subsets: flags.kernelSubsets, subsetSize: flags.kernelSubsetSize },
      manifold: { neighbours: flags.neighbours, images: flags.manifoldImages },
      errorGroups: flags.errorGroups,
      signal,
      onProgress: (event) => showProgress(bar, event),
    });
    bar.progress?.stop();
    if (flags.json) printJson(result);
    else print(inWords(result));
  } finally {
    bar.progress?.stop();
    await pipeline.dispose();
  }
}

function showProgress(bar: { progress?: Progress }, { stage, setting, done, total }: EvaluationProgress): void {
  bar.progress ??= startProgress(total, 'pictures');
  bar.progress.update(Math.floor(done), setting === null ? stage : `${setting}: ${stage}`);
}

async function readSettings(file: string): Promise<EvaluateOptions['settings']> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as EvaluateOptions['settings'];
  } catch (cause) {
    throw invalid('--settings', 'a JSON list of { "name", "guidance" }', file, { note: reasonOf(cause), cause });
  }
}

/** The figures as a table, and how to read them. */
export function inWords(result: EvaluationResult): string {
  const names = distanceNames(result.features.name);
  const rows = result.settings.map(({ name, frechet, kernel, precisionRecall, recognised, spectrum, difference }) => [
    name,
    withError(frechet.distance, frechet.standardError, 3),
    difference ? withError(difference.frechet.value, difference.frechet.standardError, 3, true) : '-',
    withError(kernel.distance, kernel.standardError, 5),
    precisionRecall.precision.toFixed(3),
    precisionRecall.recall.toFixed(3),
    recognised ? interval(recognised, 100, 1) : '-',
    spectrum.distance.toFixed(2),
    interval(spectrum.highShare, 100, 2),
  ]);
  const heads = [
    'setting',
    'Fréchet',
    'to the first',
    'kernel',
    'precision',
    'recall',
    'recognised %',
    'spectrum dB',
    'high %',
  ];
  const { reference } = result;
  const known = reference.recognised === null ? '' : `; of the reference ${(100 * reference.recognised).toFixed(1)} %`;
  return [
    ...table([heads, ...rows], { right: true }),
    '',
    `Fréchet: ${names.frechet}, kernel: ${names.kernel}; ± standard error, the kernel’s of the drawing of subsets alone. Precision and recall: ` +
      `${result.settings[0]?.precisionRecall.neighbours} neighbours, ${result.settings[0]?.precisionRecall.images} pictures of each set.`,
    `recognised: the classifier sees the class that was asked for${known}; in brackets 95 % intervals.`,
    'spectrum: root mean square difference to the mean spectrum of the reference. ' +
      `high: energy above ${result.cutoff} cycles per pixel; of the reference ${(100 * reference.highShare).toFixed(2)} %.`,
    `${result.bundle.name}, ${result.samples} pictures a setting from seed ${result.seed}, ${result.numInferenceSteps} steps, ` +
      `against ${reference.count} reference pictures.`,
    ...result.notes,
    '',
  ].join('\n');
}

function withError(value: number, error: number | null, digits: number, signed = false): string {
  const shown = (signed && value > 0 ? '+' : '') + value.toFixed(digits);
  return error === null ? shown : `${shown} ± ${error.toFixed(digits)}`;
}

/** `69.0 [67.8, 70.3]` */
export function interval({ value, low, high }: Estimate, factor: number, digits: number): string {
  const [middle, from, to] = [value, low, high].map((bound) => (factor * bound).toFixed(digits));
  return `${middle} [${from}, ${to}]`;
}
