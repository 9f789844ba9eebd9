/** What was measured inside the model, for what the settings show; asked of the server once for each. */
import { computed, signal } from '@preact/signals';

import { post, Refused } from '../api/client';
import type { BundleInfo, ImageRequest } from '../api/types';
import type { GatesTrace, HighNormTokens, MagnitudeTrace, MassiveActivations } from '../../../lib/analysis';

import { bundle } from './bundles';
import { subjectOf } from './request';
import { settings, type Settings } from './settings';

/** One channel over the picture, [layer][timestep][token]. */
export interface ChannelMaps {
  channel: number;
  tokenGrid: [rows: number, columns: number];
  timesteps: number[];
  layers: number[];
  maps: number[][][];
}

interface Answers {
  'massive-activations': MassiveActivations;
  magnitude: MagnitudeTrace;
  gates: GatesTrace;
  'high-norm-tokens': HighNormTokens;
  maps: ChannelMaps;
}

type Name = keyof Answers;

export interface Measurement<Answer> {
  state: 'measuring' | 'done' | 'failed';
  /** What it was measured for. */
  key: string;
  answer: Answer | null;
  problem: string | null;
}

const measurements = signal<Partial<Record<Name, Measurement<unknown>>>>({});
const aborts = new Map<Name, AbortController>();

export const measurementOf = <Of extends Name>(name: Of): Measurement<Answers[Of]> | null =>
  (measurements.value[name] as Measurement<Answers[Of]> | undefined) ?? null;

/** What is being drawn, as the analyses take it. */
export function conditionsOf(from: Settings, of: BundleInfo): ImageRequest {
  const { width, height, sampler } = from;
  return {
    ...subjectOf(from, of),
    ...(width === null ? {} : { width }),
    ...(height === null ? {} : { height }),
    ...(sampler === null ? {} : { scheduler: { kind: sampler } as ImageRequest['scheduler'] }),
  };
}

export const stepsOf = (from: Settings, of: BundleInfo): number =>
  from.steps ?? (of.defaults as { numInferenceSteps?: number }).numInferenceSteps ?? 30;

/** Asks for an analysis, unless the same was asked for already. */
export async function measure<Of extends Name>(name: Of, request: object): Promise<void> {
  const key = JSON.stringify(request);
  const before = measurements.value[name];
  if (before?.key === key && before.state !== 'failed') return;
  aborts.get(name)?.abort();
  const abort = new AbortController();
  aborts.set(name, abort);
  const tell = (part: Omit<Measurement<unknown>, 'key'>) => {
    if (!abort.signal.aborted) measurements.value = { ...measurements.value, [name]: { key, ...part } };
  };
  // What was measured before stays in sight.
  tell({ state: 'measuring', answer: before?.answer ?? null, problem: null });
  try {
    tell({ state: 'done', answer: await post(`/v1/analysis/${name}`, request, abort.signal), problem: null });
  } catch (error) {
    const problem = error instanceof Refused || error instanceof Error ? error.message : String(error);
    tell({ state: 'failed', answer: null, problem });
  }
}

export function stopMeasuring(name: Name): void {
  aborts.get(name)?.abort();
  const { [name]: stopped, ...others } = measurements.value;
  if (stopped?.state === 'measuring') measurements.value = others;
}

/** A trajectory of this model takes about a second: it is measured without being asked for. */
export const isQuick = computed(() => {
  const size = bundle.value?.size;
  return size !== undefined && size.width * size.height <= 64 * 64;
});

/** The strength of every channel for what the settings show. */
export function measureChannels(): Promise<void> {
  const of = bundle.value;
  if (!of) return Promise.resolve();
  const from = settings.value;
  return measure('massive-activations', {
    bundle: of.id,
    conditions: [conditionsOf(from, of)],
    seed: from.seed,
    numInferenceSteps: stepsOf(from, of),
    suggest: false,
    maximumWindows: 2,
  });
}

export interface Strengths {
  /** As multiples of the median channel, [layer][timestep][channel]. */
  byLayer: number[][][];
  layers: number[];
  timesteps: number[];
  /** Of all. */
  largest: number;
  /** Massive channels, by layer. */
  massive: ReadonlyMap<number, number[]>;
}

export const strengths = computed<Strengths | null>(() => {
  const answer = measurementOf('massive-activations')?.answer;
  if (!answer) return null;
  const byLayer = answer.layers.map(({ channelMeans }) =>
    channelMeans.map((means) => {
      const middle = medianOf(means);
      return means.map((mean) => mean / middle);
    }),
  );
  return {
    byLayer,
    layers: answer.layers.map(({ layer }) => layer),
    timesteps: answer.timesteps,
    largest: byLayer.flat(2).reduce((most, value) => Math.max(most, value), 1),
    massive: new Map(answer.layers.map(({ layer, channels }) => [layer, channels.map(({ channel }) => channel)])),
  };
});

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1] ?? Number.NaN;
}

/** Index of the timestep that the charts show. */
export const timestepAt = signal(0);
