/**
 * When a technique is on: a half-open window of the steps, as in "Applying Guidance in a Limited Interval",
 * Kynkäänniemi et al., arXiv 2404.07724.
 */
import { finite } from '../validation/vocabulary';

import type { GuidanceContext } from './term';

/** Options that every technique has. Step i of n is inside when start ≤ i / n < stop. */
export const windowOptions = {
  /** Fraction of the steps before which the technique is off, in [0, 1]. Default 0. */
  start: finite(0, 1).default(0),
  /** Fraction of the steps from which the technique is off again, in [0, 1]. Default 1. */
  stop: finite(0, 1).default(1),
};

interface Window {
  start: number;
  stop: number;
}

/** Whether each evaluation is inside. */
export function insideWindow({ start, stop }: Window, { evaluations }: GuidanceContext): boolean[] {
  return evaluations.map(({ fraction }) => fraction >= start && fraction < stop);
}

/** The weight inside the window and 0 outside, for each evaluation. */
export function windowed(weight: number, window: Window, context: GuidanceContext): number[] {
  return insideWindow(window, context).map((inside) => (inside ? weight : 0));
}
