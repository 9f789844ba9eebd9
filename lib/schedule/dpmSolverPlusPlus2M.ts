/**
 * DPM-Solver++ (2M), Lu et al., arXiv 2211.01095, algorithm 2, in the midpoint form:
 *
 *   x' = (σ'/σ) x − α' (e^{−h} − 1) (m_0 + (m_0 − m_{−1}) / (2 r)),   h = λ' − λ,  r = h_{−1} / h,  λ = log(α / σ)
 *
 * m is the data prediction, m = a x + b D at its own step. The loop keeps earlier outputs D but not earlier samples,
 * so m_{−1} is carried along as a combination of the current x and all outputs so far: x' = s x + Σ β_k D_k is
 * inverted for x, which is well conditioned because s = α'/α whatever the order.
 * The first and the last step are of first order. Equals diffusers' DPMSolverMultistepScheduler (order 2, midpoint,
 * final σ zero), which for flow prediction cuts the model's timestep to a whole number.
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

/** DPM-Solver++ (2M); one evaluation a step. */
export interface DpmSolverOptions extends MultistepOptions, OfKind<'dpm-solver++'> {}

export const dpmSolverSchema = describedBy<DpmSolverOptions>()(
  strictObject({ kind: z.literal('dpm-solver++'), ...multistepOptions }),
);
type Request = z.output<typeof dpmSolverSchema>;

/** The table of DPM-Solver++ (2M); one evaluation a step. */
export function dpmSolverPlusPlus2M(options: Request, context: ScheduleContext): Schedule {
  requirePrediction(options.kind, context.prediction, ['flow', 'epsilon', 'v', 'sample']);
  const levels = context.prediction === 'flow' ? flowLevels(options, context) : diffusionLevels(options, context);
  const steps: Schedule['steps'] = [];
  /** m of the previous step as coefficients of the current x and of earlier outputs, newest (the previous) first. */
  let previous: { sample: number; outputs: number[] } | null = null;
  levels.forEach((level, step) => {
    const next = levels[step + 1] ?? { alpha: 1, sigma: 0 };
    const [a, b] = dataPrediction(context.prediction, level.alpha, level.sigma);
    const final = step === levels.length - 1;
    // α' (1 − e^{−h}) without the logarithms, finite also for σ' = 0.
    const gain = next.alpha - (level.alpha * next.sigma) / level.sigma;
    let current = gain;
    let earlier = 0;
    if (previous && !final) {
      const h = logSnr(next) - logSnr(level);
      const r = (logSnr(level) - logSnr(levels[step - 1]!)) / h;
      current = gain * (1 + 1 / (2 * r));
      earlier = -gain / (2 * r);
    }
    const sample = next.sigma / level.sigma + current * a + earlier * (previous?.sample ?? 0);
    const outputs = [
      current * b,
      ...(previous && earlier !== 0 ? previous.outputs.map((weight) => earlier * weight) : []),
    ];
    steps.push(multistepRow(step, level, { sample, outputs }, context, options.timestepScale));
    // In the next step's terms: x = (x' − Σ outputs_k D_k) / sample, so m = a x + b D becomes
    previous = {
      sample: a / sample,
      outputs: outputs.map((weight, lag) => (lag === 0 ? b : 0) - (a * weight) / sample),
    };
  });
  return { initialScale: 1, steps };
}

function flowLevels(options: Request, { numInferenceSteps }: ScheduleContext): Level[] {
  const { numTrainTimesteps, flowShift, timestepScale } = options;
  return linspace(1, 1 / numTrainTimesteps, numInferenceSteps + 1)
    .map((alpha) => (flowShift * (1 - alpha)) / (1 + (flowShift - 1) * (1 - alpha)))
    .reverse()
    .slice(0, numInferenceSteps)
    .map((sigma) => ({ alpha: 1 - sigma, sigma, timestep: sigma * timestepScale, time: sigma, listed: sigma }));
}
