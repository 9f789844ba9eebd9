/** `detail-guidance dump`: hidden states of a sampling run into a folder, or their ranges for a quantiser. */
import { Command, Option } from 'commander';

import { QuantisationCollector, type ActivationRecord, type DumpSummary } from '../activations';
import { invalid } from '../validation/invalid';
import { checkWritable, writeFileAtomic } from '../files/atomic';
import type { ActivationOptions } from '../activations/options';
import { loadPipeline, type Pipeline } from '../pipeline';

import { printJson } from './failure';
import { guidanceFromFlags } from './guidance';
import { interruptible } from './interrupt';
import { loadOptionsOf } from './load';
import { startProgress } from './progressBar';
import { say } from './quiet';
import { addRunOptions, type RunFlags } from './runOptions';
import { parseNumbers, parseSite, parseWhole, parseWholes } from './values';

type Sites = NonNullable<ActivationOptions['sites']>;

interface DumpFlags extends RunFlags {
  out?: string;
  quantisation?: string;
  sites?: Sites;
  branches?: string[];
  recordSteps?: number[];
  statistics: boolean;
  percentiles?: number[];
  tokens?: boolean;
  top?: number;
  tensors?: boolean;
  tensorDtype?: ActivationOptions['dtype'];
  beforeEdits?: boolean;
  shardBytes?: number;
  json?: boolean;
}

const quantisationPercentiles = [99, 99.9];

export function dumpCommand(): Command {
  const command = new Command('dump')
    .description('write the hidden states of a sampling run, or statistics of them, to safetensors files')
    .argument('<bundle>', "folder of a bundle, or 'embedded'")
    .option('-o, --out <folder>', 'folder for the dump; it must not exist yet')
    .option('--quantisation <file>', 'JSON file for ranges by layer, timestep and channel; with or without --out');
  return addRunOptions(command, '1')
    .addOption(
      new Option(
        '--sites <site...>',
        'path, path:tap or path:tap:stream; * is one component of a path (default: every block)',
      ).argParser((text: string, before: Sites = []) => [...before, parseSite(text)] as Sites),
    )
    .option('--branches <name...>', "branches as `generate --explain` names them, or 'all' (default: conditional)")
    .option('--record-steps <list>', 'evaluations to record, from 0: 0,5,29 (default: all)', parseWholes)
    .option('--no-statistics', 'without statistics per channel; needs --tensors')
    .option('--percentiles <list>', 'percentiles of |z| per channel: 50,99.9', parseNumbers)
    .option('--tokens', 'the norm of every token')
    .option('--top <count>', 'so many of the strongest values', parseWhole)
    .option('--tensors', 'the hidden states themselves')
    .addOption(new Option('--tensor-dtype <dtype>', 'of the hidden states').choices(['float32', 'float16', 'bfloat16']))
    .option('--before-edits', 'what arrives at a site that a branch edits, not what leaves it')
    .option('--shard-bytes <count>', 'bytes of tensors in a file before the next one begins', parseWhole)
    .option('--json', 'print the summary as one JSON document')
    .action((bundle: string, flags: DumpFlags) => interruptible((signal) => runDump(bundle, flags, signal)));
}

async function runDump(location: string, flags: DumpFlags, signal: AbortSignal): Promise<void> {
  const { out, quantisation } = flags;
  if (out === undefined && quantisation === undefined) {
    throw invalid('dump', '--out <folder> or --quantisation <file>', undefined, { shown: 'neither' });
  }
  if (quantisation !== undefined) await checkWritable(quantisation);
  const pipeline = await loadPipeline(location, { ...loadOptionsOf(flags), signal });
  try {
    const collector = quantisation === undefined ? null : new QuantisationCollector(percentilesOf(flags) ?? []);
    const summary = await record(pipeline, flags, collector, signal);
    if (collector && quantisation !== undefined) {
      const text = `${JSON.stringify(collector.result())}\n`;
      await writeFileAtomic(quantisation, new TextEncoder().encode(text), signal);
    }
    if (flags.json) printJson({ ...summary, ...(quantisation === undefined ? {} : { quantisation }) });
    else say([summary ? inWords(summary) : [], quantisation ?? []].flat().join('\n'), process.stdout);
  } finally {
    await pipeline.dispose();
  }
}

async function record(
  pipeline: Pipeline,
  flags: DumpFlags,
  collector: QuantisationCollector | null,
  signal: AbortSignal,
): Promise<DumpSummary | null> {
  const options = requestOf(flags, pipeline, signal);
  const { images, steps } = pipeline.plan(options.generate);
  const total = images * steps.length;
  const progress = startProgress(total, 'steps');
  options.generate!.onStep = ({ fraction }) => progress.update(Math.floor(fraction * total), 'recording');
  const onRecord = (record: ActivationRecord): void => collector?.add(record);
  try {
    if (flags.out !== undefined) {
      const { shardBytes, out } = flags;
      return await pipeline.dumpActivations({ ...options, out, shardBytes, onRecord });
    }
    for await (const record of pipeline.activations(options)) onRecord(record);
    return null;
  } finally {
    progress.stop();
  }
}

function requestOf(flags: DumpFlags, { bundle }: Pipeline, signal: AbortSignal): ActivationOptions {
  const { branches, recordSteps, tensors, tensorDtype, beforeEdits, tokens, top } = flags;
  const percentiles = percentilesOf(flags);
  return {
    generate: {
      classLabel: flags.class,
      prompt: flags.prompt,
      negativePrompt: flags.negativePrompt,
      seed: flags.seed,
      numImages: flags.numImages,
      numInferenceSteps: flags.steps,
      scheduler: flags.scheduler,
      guidance: guidanceFromFlags(flags, bundle),
      batchSize: flags.batchSize,
    },
    sites: flags.sites,
    branches: branches?.length === 1 && branches[0] === 'all' ? 'all' : branches,
    steps: recordSteps,
    statistics: flags.statistics && { ...(percentiles ? { percentiles } : {}), tokens, top },
    tensors,
    dtype: tensorDtype,
    beforeEdits,
    signal,
  };
}

/** A quantiser's ranges need some. */
function percentilesOf({ percentiles, quantisation }: DumpFlags): number[] | undefined {
  return percentiles ?? (quantisation === undefined ? undefined : quantisationPercentiles);
}

function inWords({ out, shards, records, nonFinite, latentsFinite }: DumpSummary): string[] {
  const { values, records: affected, first } = nonFinite;
  const where = first && `${first.site}, ${first.branch}, image ${first.image}, step ${first.step}`;
  return [
    `${out}: ${records} records in ${shards.length} ${shards.length === 1 ? 'file' : 'files'}`,
    ...(where ? [`${values} values in ${affected} records are NaN or infinite, first at ${where}`] : []),
    ...(latentsFinite ? [] : ['the picture is not finite']),
  ];
}
