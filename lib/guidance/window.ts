/**
 * When a technique is on: a half-open window of the steps, as in "Applying Guidance in a Limited Interval",
 * Kynkäänniemi et al., arXiv 2404.07724.
 */
import { finite } from '../validation/vocabulary';

import type { GuidanceContext } from './term';

/** When a technique is on, which every technique has: step i of n is inside when start ≤ i / n < stop. */
export interface GuidanceWindow {
  /** Fraction of the steps before which the technique is off, from 0 to 1. Default 0. */
  start?: number;
  /** Fraction of the steps from which the technique is off again, from 0 to 1. Default 1. */
  stop?: number;
}

export const windowOptions = {
  start: finite(0, 1).default(0),
  stop: finite(0, 1).default(1),
};

type Window = Required<GuidanceWindow>;

/** Whether each evaluation is inside. */
export function insideWindow({ start, stop }: Window, { evaluations }: GuidanceContext): boolean[] {
  return evaluations.map(({ fraction }) => fraction >= start && fraction < stop);
}

/** The weight inside the window and 0 outside, for each evaluation. */
export function windowed(weight: number, window: Window, context: GuidanceContext): number[] {
  return insideWindow(window, context).map((inside) => (inside ? weight : 0));
}
