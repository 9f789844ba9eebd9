/** Schedulers: pure functions from options to a table of steps. */
import { ddim } from './ddim';
import { dpmSolverPlusPlus2M } from './dpmSolverPlusPlus2M';
import { flowMatchEuler } from './flowMatchEuler';
import { flowMatchHeun } from './flowMatchHeun';
import { heun } from './heun';
import type { SchedulerRequest } from './schema';
import { uniPc } from './uniPc';
import type { Schedule, ScheduleContext } from './step';

export type { BetaOptions } from './betas';
export type { DdimOptions } from './ddim';
export type { DpmSolverOptions } from './dpmSolverPlusPlus2M';
export type { MultistepOptions } from './multistep';
export type { FlowOptions } from './flow';
export type { FlowMatchEulerOptions } from './flowMatchEuler';
export type { FlowMatchHeunOptions } from './flowMatchHeun';
export type { HeunOptions } from './heun';
export { schedulerSchema, type SchedulerChanges, type SchedulerOptions, type SchedulerRequest } from './schema';
export type { UniPcOptions } from './uniPc';
export type { Prediction, Schedule, ScheduleContext, ScheduleStep } from './step';

/**
 * The table of a sampler: pure, float64.
 *
 * @throws BAD_OPTION when the sampler is not defined for what the model predicts
 */
export function schedule(options: SchedulerRequest, context: ScheduleContext): Schedule {
  switch (options.kind) {
    case 'flow-match-euler':
      return flowMatchEuler(options, context);
    case 'flow-match-heun':
      return flowMatchHeun(options, context);
    case 'ddim':
      return ddim(options, context);
    case 'dpm-solver++':
      return dpmSolverPlusPlus2M(options, context);
    case 'unipc':
      return uniPc(options, context);
    case 'heun':
      return heun(options, context);
  }
}
