/** Tables that a sampler can walk, for every number of steps; and the numbers of steps for which there is none. */
import { describe, expect, test } from '@jest/globals';

import type { SchedulerOptions } from '../../lib/schedule';
import { schedulerSchema, type Prediction } from '../../lib/schedule';
import { checkedSchedule } from '../../lib/plan/steps';
import { errorOf } from './model';

const table = (options: SchedulerOptions, numInferenceSteps: number, prediction: Prediction = 'epsilon') =>
  checkedSchedule(schedulerSchema.parse(options), { numInferenceSteps, prediction, imageTokens: 49 });

describe('1000 steps', () => {
  test.each<SchedulerOptions>([
    { kind: 'ddim' },
    { kind: 'ddim', timestepSpacing: 'linspace' },
    { kind: 'ddim', timestepSpacing: 'trailing' },
    { kind: 'heun' },
  ])('%j', (options) => {
    const { steps } = table(options, 1000);
    expect(new Set(steps.map(({ step }) => step)).size).toBe(1000);
  });

  test.each<[SchedulerOptions, number]>([
    [{ kind: 'dpm-solver++' }, 999],
    [{ kind: 'dpm-solver++', timestepSpacing: 'leading' }, 999],
    [{ kind: 'unipc' }, 999],
    [{ kind: 'ddim', timestepSpacing: 'leading', stepsOffset: 1 }, 999],
    [{ kind: 'ddim', numTrainTimesteps: 50 }, 50],
  ])('are refused by %j, which takes %d', (options, most) => {
    expect(errorOf(() => table(options, 1000))).toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringMatching(new RegExp(`numInferenceSteps: expected at most ${most}, received 1000`)),
    });
    table(options, most);
  });

  test('settings that give no table are refused themselves, whatever the number of steps', () => {
    const options: SchedulerOptions = {
      kind: 'flow-match-euler',
      useDynamicShifting: true,
      baseShift: 0,
      maxShift: 20,
      baseImageSeqLen: 1,
      maxImageSeqLen: 2,
    };
    for (const steps of [1, 20]) {
      expect(errorOf(() => table(options, steps, 'flow'))).toMatchObject({
        code: 'BAD_OPTION',
        message: expect.stringMatching(/^options\.scheduler: expected settings .* not for a picture of 49 tokens/s),
      });
    }
  });

  test.each<SchedulerOptions>([{ kind: 'flow-match-euler', shift: 3 }, { kind: 'flow-match-heun' }])(
    'along a flow: %j',
    (options) => {
      expect(table(options, 1000, 'flow').steps.every(({ sigma }) => Number.isFinite(sigma))).toBe(true);
    },
  );
});
