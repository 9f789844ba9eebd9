/** The samplers a bundle or a call can name, each with its options, diffusers' names in camelCase. */
import { z } from 'zod';

import { ddimSchema } from './ddim';
import { dpmSolverSchema } from './dpmSolverPlusPlus2M';
import { flowMatchEulerSchema } from './flowMatchEuler';
import { flowMatchHeunSchema } from './flowMatchHeun';
import { heunSchema } from './heun';
import { uniPcSchema } from './uniPc';

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

export type SchedulerOptions = z.output<typeof schedulerSchema>;
export type SchedulerKind = SchedulerOptions['kind'];
