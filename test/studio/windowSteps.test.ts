/** A window that is set to a step stays there, and begins at that step for the server too. */
import { expect, test } from '@jest/globals';

import { shareAt, stepAt } from '../../studio/src/controls/windowSteps';

test.each([1, 7, 28, 30, 50, 1000])('of %i steps each is what it is set to', (steps) => {
  for (let step = 0; step <= steps; step++) {
    const share = shareAt(step, steps);
    expect(stepAt(share, steps)).toBe(step);
    // As lib/plan compares.
    const isInside = Array.from({ length: steps }, (_, at) => at / steps >= share);
    expect(isInside.filter(Boolean)).toHaveLength(steps - step);
  }
});

test('a share between two steps begins at the later one', () => {
  expect(stepAt(0.5, 7)).toBe(4);
});
