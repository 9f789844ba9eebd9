/** How far something is that is made step by step, as far as this page has heard of it. */
export interface Progress {
  step: number;
  steps: number | null;
  /** When the first step was told that this page has heard of, and which that was. */
  since: number | null;
  sinceStep: number;
}

/** How long it still takes, in seconds; null while too little is known. */
export function secondsLeft({ step, steps, since, sinceStep }: Progress, now: number): number | null {
  if (since === null || steps === null || step <= sinceStep) return null;
  return (((now - since) / (step - sinceStep)) * (steps - step)) / 1000;
}
