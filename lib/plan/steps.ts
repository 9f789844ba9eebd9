/** A sampler's table that can be walked: finite numbers, each noise level below the one before. */
import { schedule, type Schedule, type ScheduleContext, type SchedulerRequest, type ScheduleStep } from '../schedule';
import { invalid } from '../validation/invalid';

/**
 * The table of a sampler.
 *
 * @throws BAD_OPTION for more steps than the sampler has training timesteps for, with how many it can take; for settings
 *   that give no table at all
 */
export function checkedSchedule(options: SchedulerRequest, context: ScheduleContext): Schedule {
  const table = schedule(options, context);
  if (canBeWalked(table)) return table;
  const walks = (steps: number) => canBeWalked(schedule(options, { ...context, numInferenceSteps: steps }));
  let most = context.numInferenceSteps - 1;
  while (most > 1 && !walks(most)) most--;
  if (most < 1 || !walks(most)) {
    throw invalid('options.scheduler', 'settings whose noise levels are numbers that fall', options, {
      note: `they are not for a picture of ${context.imageTokens} tokens, in any number of steps`,
    });
  }
  const { kind, timestepSpacing, numTrainTimesteps } = options;
  throw invalid('options.numInferenceSteps', `at most ${most}`, context.numInferenceSteps, {
    note: `${kind} with ${timestepSpacing} spacing of ${numTrainTimesteps} training timesteps`,
  });
}

/** Whether all coefficients are numbers, and no two steps begin at the same noise level. */
function canBeWalked({ steps }: Schedule): boolean {
  let last: ScheduleStep | null = null;
  for (const row of steps) {
    const numbers = [row.timestep, row.sample, row.noise, row.inputScale, ...row.outputs, ...row.preview];
    if (!numbers.every(Number.isFinite)) return false;
    // Samplers with two evaluations a step look at the next noise level in the second.
    if (row.step === last?.step) continue;
    if (row.sigma === last?.sigma) return false;
    last = row;
  }
  return true;
}
