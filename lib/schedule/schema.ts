/** The samplers a bundle or a call can name, each with its options, diffusers' names in camelCase. */
import { z } from 'zod';

import { ddimSchema, type DdimOptions } from './ddim';
import { dpmSolverSchema, type DpmSolverOptions } from './dpmSolverPlusPlus2M';
import { flowMatchEulerSchema, type FlowMatchEulerOptions } from './flowMatchEuler';
import { flowMatchHeunSchema, type FlowMatchHeunOptions } from './flowMatchHeun';
import { heunSchema, type HeunOptions } from './heun';
import { uniPcSchema, type UniPcOptions } from './uniPc';

/** A sampler and its options, diffusers' names in camelCase. */
export type SchedulerOptions =
  FlowMatchEulerOptions | FlowMatchHeunOptions | DdimOptions | DpmSolverOptions | UniPcOptions | HeunOptions;

/** Changes to a bundle's sampler: any of the options; without `kind` the sampler stays the same. */
export type SchedulerChanges = Partial<SchedulerOptions>;

export const schedulerSchema = z.discriminatedUnion(
  'kind',
  [flowMatchEulerSchema, flowMatchHeunSchema, ddimSchema, dpmSolverSchema, uniPcSchema, heunSchema],
  {
    error: (issue) =>
      issue.code === 'invalid_union'
        ? "an object whose kind is 'flow-match-euler', 'flow-match-heun', 'ddim', 'dpm-solver++', 'unipc' or 'heun'"
        : undefined,
  },
);

/** A sampler with all its options. */
export type SchedulerRequest = z.output<typeof schedulerSchema>;
