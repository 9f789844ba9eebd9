/** A clean picture at a noise level, and the timestep that the model is given there. */
import type { Pipeline } from '../pipeline';
import type { PlanStep } from '../plan';
import type { Tensor } from '../tensor';
import { DetailGuidanceError } from '../validation/errors';

/** Evaluations among which the one nearest to a time is looked for; some samplers take one less than the thousand. */
const resolutions = [1000, 999];

/**
 * The evaluation nearest to a time between data (0) and noise (1).
 *
 * @param conditions what `plan` needs to know about the conditioning; the result does not depend on it
 */
export function stepAt(time: number, pipeline: Pick<Pipeline, 'plan'>, conditions: object): PlanStep {
  const steps = finestSteps(pipeline, conditions);
  return steps.reduce((one, other) => (Math.abs(other.time - time) < Math.abs(one.time - time) ? other : one));
}

function finestSteps(pipeline: Pick<Pipeline, 'plan'>, conditions: object): PlanStep[] {
  for (const numInferenceSteps of resolutions.slice(0, -1)) {
    try {
      return pipeline.plan({ ...conditions, numImages: 1, numInferenceSteps, guidance: {} }).steps;
    } catch (error) {
      if (!(error instanceof DetailGuidanceError) || error.code !== 'BAD_OPTION') throw error;
    }
  }
  return pipeline.plan({ ...conditions, numImages: 1, numInferenceSteps: resolutions.at(-1)!, guidance: {} }).steps;
}

/**
 * What the model is given: (1 − σ) x₀ + σ ε for flow matching, else x₀ and ε with squared coefficients that add up to 1.
 *
 * @param clean x₀, and `noise` ε, of the same length
 */
export function addNoise(
  clean: Float32Array,
  noise: Float32Array,
  sigma: number,
  prediction: Pipeline['bundle']['transformer']['prediction'],
): Float32Array {
  const [keep, add] =
    prediction === 'flow' ? [1 - sigma, sigma] : [1 / Math.hypot(1, sigma), sigma / Math.hypot(1, sigma)];
  return clean.map((value, index) => keep * value + add * noise[index]!);
}

/** The timestep input, one number a row, in the dtype that the model asks for. */
export function timestepTensor(timestep: number, rows: number, { inputs }: Pipeline['bundle']['transformer']): Tensor {
  const { dtype } = inputs.find(({ role }) => role === 'timestep')!;
  const shape = [rows];
  if (dtype === 'int64') return { data: new BigInt64Array(rows).fill(BigInt(Math.round(timestep))), shape, dtype };
  if (dtype === 'int32') return { data: new Int32Array(rows).fill(Math.round(timestep)), shape, dtype };
  if (dtype === 'float64') return { data: new Float64Array(rows).fill(timestep), shape, dtype };
  return { data: new Float32Array(rows).fill(timestep), shape, dtype: 'float32' };
}
