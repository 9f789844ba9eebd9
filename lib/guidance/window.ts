/**
 * When a technique is on: a half-open window of the steps, as in "Applying Guidance in a Limited Interval",
 * Kynkäänniemi et al., arXiv 2404.07724.
 */
import { type z } from 'zod';

import { finite, strictObject } from '../validation/vocabulary';

import type { GuidanceContext } from './term';

/** When a technique is on, which every technique has: step i of n is inside when start ≤ i / n < stop. */
export interface GuidanceWindow {
  /** Fraction of the steps before which the technique is off, from 0 to 1. Default 0. */
  start?: number;
  /** Fraction of the steps from which the technique is off again, from 0 to 1. Default 1. */
  stop?: number;
}

const windowOptions = {
  start: finite(0, 1).default(0),
  stop: finite(0, 1).default(1),
};

/** The options of a technique: its own, and its window, which must not end before it begins. */
export function techniqueSchema<Shape extends z.ZodRawShape>(shape: Shape) {
  return strictObject({ ...windowOptions, ...shape }).refine(
    (options) => {
      const { start, stop } = options as Window;
      return start <= stop;
    },
    { path: ['stop'], error: (issue) => `a number from start, ${(issue.input as Window).start}, to 1` },
  );
}

type Window = Required<GuidanceWindow>;

/** Whether each evaluation is inside. */
export function insideWindow({ start, stop }: Window, { evaluations }: GuidanceContext): boolean[] {
  return evaluations.map(({ fraction }) => fraction >= start && fraction < stop);
}

/** The weight inside the window and 0 outside, for each evaluation. */
export function windowed(weight: number, window: Window, context: GuidanceContext): number[] {
  return insideWindow(window, context).map((inside) => (inside ? weight : 0));
}
