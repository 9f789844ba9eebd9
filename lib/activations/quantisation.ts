/** Ranges of the hidden states by layer and timestep, as a quantiser needs them: plain JSON. */
import type { Site } from '../native';

import type { ActivationRecord } from './record';
import { siteName } from './dump';

/** What `pipeline.quantisationStatistics` gives. All lists of numbers have one for each channel. */
export interface QuantisationStatistics {
  /** Of the data. */
  format: 1;
  /** Names the data. */
  kind: 'quantisation-statistics';
  /** The percentiles of |z| that are given. */
  percentiles: number[];
  /** NaN and infinite values that were met; above 0 the ranges are not to be trusted. */
  nonFinite: number;
  /** In order of evaluation. */
  sites: QuantisedSite[];
}

/** Ranges at one site. */
export interface QuantisedSite {
  /** `blocks.4.output.image`: path, tap, stream. */
  name: string;
  /** Path of the submodule. */
  path: string;
  /** Where on it. */
  tap: Site['tap'];
  /** Stream of a block with several; null elsewhere. */
  stream: string | null;
  /** Layer index of a block's own output, else null. */
  layer: number | null;
  /** Channels of the hidden state. */
  channels: number;
  /** max |z| over everything that was seen. */
  absmax: number[];
  /** In order of evaluation. */
  steps: QuantisedStep[];
}

/** Ranges at one site in one step. */
export interface QuantisedStep {
  /** Evaluation of the sampler, from 0. */
  step: number;
  /** As the model was given it. */
  timestep: number;
  /** Hidden states that were seen: images times branches. */
  samples: number;
  /** max |z| over tokens and samples. */
  absmax: number[];
  /** max |z| over this step and all before it. */
  runningAbsmax: number[];
  /** For each of the percentiles: that of |z| over the tokens, averaged over the samples. */
  percentiles: number[][];
}

interface Step {
  timestep: number;
  samples: number;
  absmax: Float32Array;
  sums: Float64Array[];
}

/** Gathers the records of a run, in any order; holds one row of numbers for each site and step. */
export class QuantisationCollector {
  readonly #sites = new Map<Site, Map<number, Step>>();
  #nonFinite = 0;

  constructor(readonly percentiles: readonly number[]) {}

  /** @param record with channel statistics and the percentiles of this collector */
  add({ site, step, timestep, channels, nonFinite }: ActivationRecord): void {
    if (!channels) return;
    this.#nonFinite += nonFinite;
    const steps = this.#sites.get(site) ?? new Map<number, Step>();
    this.#sites.set(site, steps);
    const count = channels.max.length;
    const entry = steps.get(step) ?? {
      timestep,
      samples: 0,
      absmax: new Float32Array(count),
      sums: this.percentiles.map(() => new Float64Array(count)),
    };
    steps.set(step, entry);
    entry.samples++;
    raise(entry.absmax, channels.max);
    entry.sums.forEach((sum, at) =>
      channels.percentiles?.[at]?.values.forEach((value, channel) => (sum[channel]! += value)),
    );
  }

  result(): QuantisationStatistics {
    return {
      format: 1,
      kind: 'quantisation-statistics',
      percentiles: [...this.percentiles],
      nonFinite: this.#nonFinite,
      sites: [...this.#sites].map(([site, steps]) => {
        const running = new Float32Array([...steps.values()][0]!.absmax.length);
        const rows = [...steps].sort(([a], [b]) => a - b);
        const quantised = rows.map(([step, { timestep, samples, absmax, sums }]): QuantisedStep => {
          raise(running, absmax);
          const percentiles = sums.map((sum) => rounded(sum.map((value) => value / samples)));
          const runningAbsmax = rounded(running);
          return { step, timestep, samples, absmax: rounded(absmax), runningAbsmax, percentiles };
        });
        const { path, tap, stream, block } = site;
        const absmax = rounded(running);
        const channels = running.length;
        return { name: siteName(site), path, tap, stream, layer: block, channels, absmax, steps: quantised };
      }),
    };
  }
}

/** The larger of the two, in place; NaN stays. */
function raise(values: Float32Array, others: Float32Array): void {
  for (let at = 0; at < values.length; at++) values[at] = Math.max(values[at]!, others[at]!);
}

/** Seven digits, which is what a float32 has. JSON has no NaN: it becomes null. */
const rounded = (values: Float32Array | Float64Array) => Array.from(values, (value) => Number(value.toPrecision(7)));
