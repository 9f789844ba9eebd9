/**
 * UniPC, Zhao et al., arXiv 2302.04867, algorithms 1 and 2 with data prediction, order 2 and B(h) = e^{−h} − 1:
 *
 *   x̃ = (σ'/σ) x − α' B (m_0 + D_1 / 2)                    predictor
 *   x' = (σ'/σ) x − α' B (m_0 + ρ_1 D_1 + ρ_2 (m̃ − m_0))   corrector, once m̃ at x̃ is known
 *
 * h = λ' − λ, λ = log(α / σ), D_1 = (m_{−1} − m_0) / r, r = (λ_{−1} − λ) / h. The model sees the predicted samples x̃, so
 * one row of the table corrects the step before and predicts the next: all of it is linear in x̃ and the outputs. What the
 * loop does not keep, the corrected sample and earlier m, is carried along in terms of the current x̃ and the outputs, as
 * in dpmSolverPlusPlus2M.ts.
 * Equals diffusers' UniPCMultistepScheduler (order 2, bh2, final σ zero); for flow prediction it cuts the model's timestep to a
 * whole number, and so does this.
 */
import { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { strictObject } from '../validation/vocabulary';

import {
  diffusionLevels,
  logSnr,
  multistepOptions,
  multistepRow,
  type Level,
  type MultistepOptions,
} from './multistep';
import { dataPrediction, requirePrediction } from './prediction';
import { linspace } from './spacing';
import type { Schedule, ScheduleContext } from './step';
import type { OfKind } from '../validation/ofKind';

/** UniPC; one evaluation a step. */
export interface UniPcOptions extends MultistepOptions, OfKind<'unipc'> {}

export const uniPcSchema = describedBy<UniPcOptions>()(strictObject({ kind: z.literal('unipc'), ...multistepOptions }));
type Request = z.output<typeof uniPcSchema>;

/** sample · x + Σ outputs[k] · D_{−k}, in terms of the current x. */
interface Combination {
  sample: number;
  outputs: number[];
}

/** The table of UniPC; one evaluation a step. */
export function uniPc(options: Request, context: ScheduleContext): Schedule {
  requirePrediction(options.kind, context.prediction, ['flow', 'epsilon', 'v', 'sample']);
  const levels = context.prediction === 'flow' ? flowLevels(options, context) : diffusionLevels(options, context);
  const steps: Schedule['steps'] = [];
  /** The corrected sample of the step before, and the data predictions, newest first. */
  let corrected: Combination | null = null;
  let predictions: Combination[] = [];
  let order = 1;
  levels.forEach((level, step) => {
    const [a, b] = dataPrediction(context.prediction, level.alpha, level.sigma);
    const current: Combination = { sample: a, outputs: [b] };
    const arrived: Combination = { sample: 1, outputs: [] };
    const from: Combination = corrected
      ? update(corrected, predictions, levels.slice(0, step).reverse(), level, order, current)
      : arrived;
    predictions = [current, ...predictions].slice(0, 2);
    order = Math.min(2, step + 1, levels.length - step);
    const next = levels[step + 1] ?? { alpha: 1, sigma: 0 };
    const { sample, outputs } = update(from, predictions, levels.slice(0, step + 1).reverse(), next, order);
    steps.push(multistepRow(step, level, { sample, outputs }, context, options.timestepScale));
    // In the next step's terms: x = (x' − Σ outputs_k D_k) / sample, and every output is one evaluation older.
    const older = (combination: Combination): Combination => {
      const share = combination.sample / sample;
      const length = Math.max(combination.outputs.length, outputs.length);
      const carried = Array.from({ length }, (_, lag) => (combination.outputs[lag] ?? 0) - share * (outputs[lag] ?? 0));
      return { sample: share, outputs: [0, ...carried] };
    };
    corrected = older(from);
    predictions = predictions.map(older);
  });
  return { initialScale: 1, steps };
}

/**
 * From x at the first of `levels` to the level `next`.
 *
 * @param predictions at `levels`, both newest first
 * @param predicted the data prediction at the end of the step: the corrector's
 */
function update(
  x: Combination,
  predictions: readonly Combination[],
  levels: readonly Level[],
  next: Pick<Level, 'alpha' | 'sigma'>,
  order: number,
  predicted?: Combination,
): Combination {
  const [level] = levels as [Level];
  const [newest, before] = predictions as [Combination, Combination?];
  // −α' B without the logarithms, finite also for σ' = 0.
  const gain = next.alpha - (level.alpha * next.sigma) / level.sigma;
  const parts: [number, Combination][] = [
    [next.sigma / level.sigma, x],
    [gain, newest],
  ];
  const h = logSnr(next) - logSnr(level);
  const r = order === 2 ? (logSnr(levels[1]!) - logSnr(level)) / h : 1;
  const [older, end] = predicted ? correctorWeights(h, r, order) : [0.5, 0];
  if (order === 2) parts.push([(gain * older) / r, before!], [(-gain * older) / r, newest]);
  if (predicted) parts.push([gain * end, predicted], [-gain * end, newest]);
  return sum(parts);
}

/** ρ of the older difference and of the one to the end of the step: R ρ = b of the paper's equation 9. */
function correctorWeights(h: number, r: number, order: number): [number, number] {
  if (order === 1) return [0, 0.5];
  const b = Math.expm1(-h);
  const first = b / -h - 1;
  const second = first / -h - 1 / 2;
  // [1 1; r 1] ρ = [φ_1 / B, 2 φ_2 / B]
  const older = (first - 2 * second) / b / (1 - r);
  return [older, first / b - older];
}

function sum(parts: readonly [number, Combination][]): Combination {
  const length = Math.max(...parts.map(([, { outputs }]) => outputs.length));
  return {
    sample: parts.reduce((total, [weight, { sample }]) => total + weight * sample, 0),
    outputs: Array.from({ length }, (_, lag) =>
      parts.reduce((total, [weight, { outputs }]) => total + weight * (outputs[lag] ?? 0), 0),
    ),
  };
}

/** In float32, as diffusers holds them; it keeps the first one off 1, where λ is not finite. */
function flowLevels(options: Request, { numInferenceSteps }: ScheduleContext): Level[] {
  const { numTrainTimesteps, flowShift, timestepScale } = options;
  return linspace(1, 1 / numTrainTimesteps, numInferenceSteps + 1)
    .slice(0, numInferenceSteps)
    .map((level) => (flowShift * level) / (1 + (flowShift - 1) * level))
    .map((shifted) => {
      const time = 1 - shifted < 1e-6 ? shifted - 1e-6 : shifted;
      const sigma = Math.fround(time);
      return { alpha: 1 - sigma, sigma, timestep: time * timestepScale, time: sigma, listed: sigma };
    });
}
