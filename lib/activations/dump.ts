/** A recorded run as a folder: safetensors files and index.json. */
import { AbortError, DetailGuidanceError } from '../validation/errors';
import type { LoadedBundle } from '../call/generation';
import type { Site } from '../native';
import type { z } from 'zod';
import type { dumpSchema } from './options';
import type { Seed } from '../request/seeds';
import type { Plan } from '../plan';
import { toFloat32, type Tensor } from '../tensor';
import { version } from '../files/version';

import type { ActivationRecord } from './record';
import type { RecordedSampling } from './run';
import { ShardWriter, type Ending, type Shard } from './shards';

/** NaN and infinite values of a dump. */
export interface NonFiniteSummary {
  /** Values in all records. */
  values: number;
  /** Records that have some. */
  records: number;
  /** The first record that has some. */
  first: RecordPlace | null;
}

/** What `pipeline.dumpActivations` gives: what index.json says but for the records. */
export interface DumpSummary {
  /** The folder. */
  out: string;
  /** The files, in order. */
  shards: Shard[];
  /** Records that were written. */
  records: number;
  /** NaN and infinite values in all records, and the first record that has some. */
  nonFinite: NonFiniteSummary;
  /** Whether the pictures the run arrives at are finite. */
  latentsFinite: boolean;
  /** A run that was aborted or failed throws; its index.json says which. */
  ending: 'complete';
  /** Seed of each image. */
  seeds: Seed[];
}

/** Which record. */
export interface RecordPlace {
  /** The site by name: `blocks.4.output.image`. */
  site: string;
  /** Name of the branch in the plan. */
  branch: string;
  /** Which of the images, from 0. */
  image: number;
  /** Evaluation of the sampler, from 0. */
  step: number;
}

/** A record in index.json. */
interface IndexEntry extends RecordPlace {
  timestep: number;
  /** [tokens, channels]. */
  shape: [number, number];
  nonFinite: number;
  /** Its tensors are called `<name>/<part>`. */
  name: string;
  parts: string[];
}

/** @throws OUTPUT_EXISTS, OUTPUT_UNWRITABLE with what was kept; what the run throws, after a valid, shorter dump */
export async function dumpRecords(
  records: AsyncGenerator<ActivationRecord, RecordedSampling, undefined>,
  { out, shardBytes, onRecord }: z.output<typeof dumpSchema>,
  plan: Plan,
  { bundle, device, dtype: modelDtype }: LoadedBundle,
): Promise<DumpSummary> {
  const summary: Omit<DumpSummary, 'shards'> = {
    out,
    records: 0,
    nonFinite: { values: 0, records: 0, first: null },
    latentsFinite: true,
    ending: 'complete',
    seeds: [],
  };
  const header = {
    format: 1,
    kind: 'activations',
    version: version(),
    bundle: { name: bundle.name, transformer: bundle.files[bundle.transformer.file]!.sha256 },
    device,
    dtype: modelDtype,
    numInferenceSteps: plan.numInferenceSteps,
    timesteps: plan.steps.map(({ timestep }) => timestep),
  };
  const writer = await ShardWriter.create<IndexEntry>({
    folder: out,
    shardBytes,
    index: (shards, entries, ending) => {
      const { nonFinite, seeds } = summary;
      const parts = { ...header, ending, seeds, nonFinite, shards, records: entries };
      // One record a line: read by eye, and searched with grep.
      const lines = entries.map((entry) => `    ${JSON.stringify(entry)}`).join(',\n');
      const rest = JSON.stringify({ ...parts, records: [] }, null, 2);
      return `${rest.replace(/"records": \[\]\n}$/, () => `"records": [${lines && `\n${lines}\n  `}]\n}`)}\n`;
    },
  });
  try {
    for (;;) {
      const next = await records.next();
      if (next.done) {
        summary.latentsFinite = toFloat32(next.value.latents).every(Number.isFinite);
        summary.seeds = next.value.seeds;
        break;
      }
      await writer.add(...entryOf(next.value));
      count(next.value, summary);
      await onRecord?.(next.value);
    }
  } catch (error) {
    await records.return(undefined as never);
    await end(writer, error, out);
    throw error;
  }
  await write(writer, () => writer.close('complete'), out);
  return { ...summary, shards: [...writer.shards] };
}

/** What is there stays a valid dump; a disk without room says how much that is. */
async function end(writer: ShardWriter<IndexEntry>, error: unknown, out: string): Promise<void> {
  const ending: Ending = error instanceof AbortError ? 'aborted' : 'failed';
  const isWriting = error instanceof DetailGuidanceError && error.code === 'OUTPUT_UNWRITABLE';
  await write(writer, isWriting ? () => Promise.reject(error) : () => writer.close(ending), out);
}

async function write(writer: ShardWriter<IndexEntry>, work: () => Promise<void>, out: string): Promise<void> {
  await work().catch(async (error: unknown) => {
    await writer.giveUp();
    throw withKept(error, writer, out);
  });
}

function withKept(error: unknown, writer: ShardWriter<IndexEntry>, out: string): unknown {
  if (!(error instanceof DetailGuidanceError)) return error;
  const { code, message, received, expected, cause } = error;
  const files = writer.shards.length;
  const remainder = `${out} holds a valid dump of the first ${writer.kept} records in ${files} ${files === 1 ? 'file' : 'files'}.`;
  return new DetailGuidanceError(code, `${message} ${remainder}`, {
    received,
    ...(expected ? { expected } : {}),
    cause,
  });
}

function count({ nonFinite, ...record }: ActivationRecord, summary: Omit<DumpSummary, 'shards'>): void {
  summary.records++;
  if (nonFinite === 0) return;
  summary.nonFinite.values += nonFinite;
  summary.nonFinite.records++;
  summary.nonFinite.first ??= placeOf(record);
}

/** `blocks.4.output.image`: path, tap, stream, and the element where there is more than one without a stream. */
export function siteName({ path, tap, stream, element }: Site): string {
  const last = stream ?? (element > 0 ? String(element) : null);
  return [path, tap, ...(last === null ? [] : [last])].join('.');
}

function placeOf({ site, branch, image, step }: Omit<ActivationRecord, 'nonFinite'>): RecordPlace {
  return { site: siteName(site), branch, image, step };
}

function entryOf(record: ActivationRecord): [IndexEntry, Record<string, Tensor>] {
  const place = placeOf(record);
  const name = `step-${place.step}/image-${place.image}/${place.branch}/${place.site}`;
  const parts = partsOf(record);
  const { timestep, shape, nonFinite } = record;
  return [
    { ...place, timestep, shape, nonFinite, name, parts: Object.keys(parts) },
    Object.fromEntries(Object.entries(parts).map(([part, tensor]) => [`${name}/${part}`, tensor])),
  ];
}

function partsOf({ channels, tokens, top, attention, tensor }: ActivationRecord): Record<string, Tensor> {
  const parts: Record<string, Tensor> = {};
  const floats = (data: Float32Array): Tensor => ({ data, shape: [data.length], dtype: 'float32' });
  const integers = (data: number[]): Tensor => ({ data: Int32Array.from(data), shape: [data.length], dtype: 'int32' });
  if (channels) {
    const { percentiles = [], ...others } = channels;
    for (const [part, values] of Object.entries(others)) parts[part] = floats(values);
    for (const { percentile, values } of percentiles) parts[`percentile-${percentile}`] = floats(values);
  }
  if (tokens) parts['token-norm'] = floats(tokens.norm);
  if (top) {
    parts['top-token'] = integers(top.map(({ token }) => token));
    parts['top-channel'] = integers(top.map(({ channel }) => channel));
    parts['top-value'] = floats(Float32Array.from(top, ({ value }) => value));
  }
  if (attention) parts['attention-mass'] = floats(attention.mass);
  if (tensor) parts['tensor'] = tensor;
  return parts;
}
