/** How far an analysis is. */
import { callback } from '../validation/vocabulary';

/** How far an analysis is. */
export interface AnalysisProgress {
  /** What is being done, a few words. */
  doing: string;
  /** Of the whole call, 0 to 1. */
  fraction: number;
}

/** Called after every trajectory. */
export function progressCallback() {
  return callback<AnalysisProgress>();
}
