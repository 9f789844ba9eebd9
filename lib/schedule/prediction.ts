/** How a model's output D becomes an estimate of the data: x0 = a · x + b · D. */
import { invalid } from '../validation/invalid';

import type { Prediction } from './step';

/** @throws BAD_OPTION when a sampler is not defined for what the model predicts */
export function requirePrediction(kind: string, prediction: Prediction, allowed: readonly Prediction[]): void {
  if (allowed.includes(prediction)) return;
  throw invalid(`The scheduler '${kind}'`, `a model that predicts ${allowed.join(' or ')}`, prediction);
}

/**
 * Coefficients [a, b] of x0 = a · x + b · D for a sample x = α x0 + σ ε.
 * For flow matching α = 1 − σ.
 */
export function dataPrediction(prediction: Prediction, alpha: number, sigma: number): [number, number] {
  switch (prediction) {
    case 'flow':
      return [1, -sigma];
    case 'epsilon':
      return [1 / alpha, -sigma / alpha];
    case 'v':
      return [alpha, -sigma];
    case 'sample':
      return [0, 1];
  }
}
