/** How far an analysis is. */
import { z } from 'zod';

/** How far an analysis is. */
export interface AnalysisProgress {
  /** What is being done, a few words. */
  doing: string;
  /** Of the whole call, 0 to 1. */
  fraction: number;
}

/** Called after every trajectory. */
export function progressCallback() {
  return z.custom<(event: AnalysisProgress) => unknown>((value) => typeof value === 'function', {
    error: 'a function',
  });
}
