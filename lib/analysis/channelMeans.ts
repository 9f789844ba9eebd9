/**
 * The strength of every channel of the residual stream, gathered window by window: mean and median of |z| over the
 * tokens, by layer and step, for every set of conditions and every seed apart and as a running mean over all.
 */

import type { ActivationRecord } from '../activations';

/** [layer][step], each the channels' values. */
type Grid = Float64Array[][];

export interface ChannelMeansShape {
  /** Layers of the model that are watched, in order. */
  layers: readonly number[];
  steps: number;
  channels: number;
  conditions: number;
}

/**
 * A window is one seed under all conditions. The running mean forgets by λ a window, m ← λ m + (1 − λ) s, as SPARK does;
 * it is divided by the weight that it has seen, so that the first windows are not pulled to zero.
 */
export class ChannelMeans {
  readonly shape: ChannelMeansShape;
  /** Sums over the seeds, [conditions][layer][step][channel]. */
  readonly byConditions: Grid[];
  /** Means over the conditions, [window][layer][step][channel]. */
  readonly byWindow: Grid[] = [];
  /** Running means of the tokens' mean, and of their median. */
  readonly means: Grid;
  readonly medians: Grid;
  /** Records that were left out since they had NaN or infinite values. */
  readonly nonFinite: { layer: number; step: number; count: number }[] = [];
  readonly #rate: number;
  readonly #places: ReadonlyMap<number, number>;
  /** λ-weight that each running mean has seen, [layer][step]. */
  readonly #weights: number[][];
  #window: Grid;
  #windowMedians: Grid;
  #counts: number[][];

  constructor(shape: ChannelMeansShape, rate: number) {
    this.shape = shape;
    this.#rate = rate;
    this.#places = new Map(shape.layers.map((layer, place) => [layer, place]));
    this.byConditions = Array.from({ length: shape.conditions }, () => this.#empty());
    this.means = this.#empty();
    this.medians = this.#empty();
    this.#weights = this.#zeros();
    this.#window = this.#empty();
    this.#windowMedians = this.#empty();
    this.#counts = this.#zeros();
  }

  /** Takes one record of channel statistics at the output of a block. */
  add(record: ActivationRecord, conditions: number): void {
    const { site, step, channels, nonFinite } = record;
    const place = this.#places.get(site.block ?? -1);
    if (place === undefined || !channels) return;
    if (nonFinite > 0) {
      this.#report(site.block!, step, nonFinite);
      return;
    }
    accumulate(this.byConditions[conditions]![place]![step]!, channels.mean);
    accumulate(this.#window[place]![step]!, channels.mean);
    accumulate(this.#windowMedians[place]![step]!, channels.median);
    this.#counts[place]![step]!++;
  }

  /** Ends the window: its means join the running ones. */
  endWindow(): void {
    this.#counts.forEach((steps, place) =>
      steps.forEach((count, step) => {
        if (count === 0) return;
        const weight = this.#rate * this.#weights[place]![step]!;
        const gain = (1 - this.#rate) / (weight + 1 - this.#rate);
        this.#weights[place]![step] = weight + 1 - this.#rate;
        const [means, medians] = [this.#window[place]![step]!, this.#windowMedians[place]![step]!];
        for (let channel = 0; channel < means.length; channel++) {
          means[channel]! /= count;
          medians[channel]! /= count;
        }
        mix(this.means[place]![step]!, means, gain);
        mix(this.medians[place]![step]!, medians, gain);
      }),
    );
    this.byWindow.push(this.#window);
    this.#window = this.#empty();
    this.#windowMedians = this.#empty();
    this.#counts = this.#zeros();
  }

  #report(layer: number, step: number, count: number): void {
    const known = this.nonFinite.find((entry) => entry.layer === layer && entry.step === step);
    if (known) known.count += count;
    else this.nonFinite.push({ layer, step, count });
  }

  #empty(): Grid {
    const { layers, steps, channels } = this.shape;
    return layers.map(() => Array.from({ length: steps }, () => new Float64Array(channels)));
  }

  #zeros(): number[][] {
    return this.shape.layers.map(() => new Array<number>(this.shape.steps).fill(0));
  }
}

function accumulate(sums: Float64Array, values: Float32Array): void {
  for (let channel = 0; channel < sums.length; channel++) sums[channel]! += values[channel]!;
}

function mix(running: Float64Array, values: Float64Array, gain: number): void {
  for (let channel = 0; channel < running.length; channel++) {
    running[channel]! += gain * (values[channel]! - running[channel]!);
  }
}
