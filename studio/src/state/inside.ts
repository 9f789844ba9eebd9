/** What was measured inside the model, for what the settings show; asked of the server once for each. */
import { computed, signal } from '@preact/signals';

import { analyse } from '../api/events';
import type { AnalysisStep, BundleInfo, ImageRequest } from '../api/types';
import type { GatesTrace, HighNormTokens, MagnitudeTrace, MassiveActivations } from '../../../lib/analysis';

import { bundle } from './bundles';
import { Pace } from './pace';
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
  /** How far it is, once it has begun. */
  step: AnalysisStep | null;
  /** What it was asked for with. */
  key: string;
  /** What it was measured on. */
  on: string;
  bundle: string;
  answer: Answer | null;
  problem: string | null;
}

const measurements = signal<Partial<Record<Name, Measurement<unknown>>>>({});
const aborts = new Map<Name, AbortController>();
const underWay = new Map<Name, Promise<void>>();

/** Null for what was not measured in the chosen bundle. */
export function measurementOf<Of extends Name>(name: Of): Measurement<Answers[Of]> | null {
  const measurement = measurements.value[name] as Measurement<Answers[Of]> | undefined;
  return measurement?.bundle === bundle.value?.id ? (measurement ?? null) : null;
}

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

/** What is measured on: what is drawn, from which noise, in how many steps. */
export interface Trajectory {
  bundle: string;
  conditions: ImageRequest[];
  seed: number;
  numInferenceSteps: number;
}

/** What the settings show; null while there is no bundle. */
export const trajectoryNow = computed<Trajectory | null>(() => {
  const of = bundle.value;
  const from = settings.value;
  return (
    of && {
      bundle: of.id,
      conditions: [conditionsOf(from, of)],
      seed: from.seed,
      numInferenceSteps: stepsOf(from, of),
    }
  );
});

/** Some of the measurements that are shown were of other settings. */
export const isOutdated = (names: readonly Name[]): boolean =>
  names.some((name) => (measurementOf(name)?.on ?? textNow.value) !== textNow.value);
const textNow = computed(() => JSON.stringify(trajectoryNow.value));

/**
 * Asks for an analysis, unless the same was asked for already. Settles when it has ended.
 *
 * @param options of the analysis, as the server takes them: its own words say what is wrong with them
 */
export function measure(name: Name, on: Pick<Trajectory, 'bundle'>, options: Record<string, unknown>): Promise<void> {
  const key = JSON.stringify({ ...on, ...options });
  const before = measurements.value[name];
  const isAsked = before?.key === key && before.state !== 'failed';
  const ending = isAsked ? underWay.get(name)! : ask(name, on, options);
  underWay.set(name, ending);
  return ending;
}

async function ask(name: Name, on: Pick<Trajectory, 'bundle'>, options: Record<string, unknown>): Promise<void> {
  const request = { ...on, ...options };
  const before = measurements.value[name];
  aborts.get(name)?.abort();
  const abort = new AbortController();
  aborts.set(name, abort);
  const { bundle: of } = on;
  let measurement: Measurement<unknown> = {
    key: JSON.stringify(request),
    on: JSON.stringify(on),
    bundle: of,
    state: 'measuring',
    step: null,
    // What was measured before stays in sight.
    answer: before?.bundle === of ? before.answer : null,
    problem: null,
  };
  const news = new Pace<Measurement<unknown>>((part) => {
    measurement = { ...measurement, ...part };
    if (!abort.signal.aborted) measurements.value = { ...measurements.value, [name]: measurement };
  });
  news.tell({});
  try {
    const answer = await analyse(name, request, abort.signal, (step) => news.tellSoon({ step }));
    news.tell({ state: 'done', step: null, answer });
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    news.tell({ state: 'failed', step: null, answer: null, problem });
  }
}

/** How far a measurement is, in words. */
export function progressOf(name: Name): string | null {
  const measurement = measurementOf(name);
  if (measurement?.state !== 'measuring') return null;
  if (!measurement.step) return 'Waiting for the model…';
  const { trajectory, step, steps } = measurement.step;
  return `Trajectory ${trajectory}: step ${step} of ${steps}`;
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
  const now = trajectoryNow.value;
  if (!now) return Promise.resolve();
  return measure('massive-activations', now, { suggest: false, maximumWindows: 2 });
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

const massiveActivations = computed(() => measurementOf('massive-activations')?.answer ?? null);

/** Of the answer alone: not made again with every step of the next measurement. */
export const strengths = computed<Strengths | null>(() => {
  const answer = massiveActivations.value;
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
