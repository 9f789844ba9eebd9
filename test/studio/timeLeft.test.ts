/** The time that a picture still takes, told from the steps that this page has seen. */
import { expect, test } from '@jest/globals';

import { secondsLeft } from '../../studio/src/state/timeLeft';

const run = { step: 0, steps: 1000, since: null, sinceStep: 0 };

test('of a page that was loaded again in mid-run the steps before it are not counted', () => {
  const takenUp = { ...run, since: 5000, sinceStep: 200 };
  expect(secondsLeft({ ...takenUp, step: 200 }, 6000)).toBeNull();
  expect(secondsLeft({ ...takenUp, step: 210 }, 15_000)).toBe(790);
});

test('from the first step on', () => {
  expect(secondsLeft(run, 1000)).toBeNull();
  expect(secondsLeft({ ...run, since: 0, sinceStep: 1, step: 501 }, 5000)).toBe(4.99);
});
