/** Evenly spaced numbers and timesteps, with numpy's rounding. */

/** `numpy.linspace(start, stop, count)`. */
export function linspace(start: number, stop: number, count: number): number[] {
  if (count === 1) return [start];
  const step = (stop - start) / (count - 1);
  return Array.from({ length: count }, (_, index) => (index === count - 1 ? stop : start + index * step));
}

/** `numpy.round`: to nearest, ties to even. */
export function roundHalfToEven(value: number): number {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

export type TimestepSpacing = 'linspace' | 'leading' | 'trailing';

/**
 * Discrete training timesteps for inference, largest first.
 * Source: Table 2 of "Common Diffusion Noise Schedules and Sample Steps are Flawed", arXiv 2305.08891.
 *
 * @param intervals numInferenceSteps + 1 for samplers that leave out the last point (DPM-Solver), else numInferenceSteps
 */
export function discreteTimesteps(
  spacing: TimestepSpacing,
  numTrainTimesteps: number,
  numInferenceSteps: number,
  { stepsOffset = 0, intervals = numInferenceSteps, round = true } = {},
): number[] {
  const rounded = round ? roundHalfToEven : (value: number) => value;
  if (spacing === 'linspace') {
    const points = linspace(0, numTrainTimesteps - 1, intervals)
      .map(rounded)
      .reverse();
    return points.slice(0, numInferenceSteps);
  }
  if (spacing === 'leading') {
    const ratio = Math.floor(numTrainTimesteps / intervals);
    const points = Array.from({ length: intervals }, (_, index) => index * ratio).reverse();
    return points.slice(0, numInferenceSteps).map((timestep) => timestep + stepsOffset);
  }
  const ratio = numTrainTimesteps / numInferenceSteps;
  return Array.from(
    { length: numInferenceSteps },
    (_, index) => roundHalfToEven(numTrainTimesteps - index * ratio) - 1,
  );
}
