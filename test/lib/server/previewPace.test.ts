/** Previews take a share of the time and no more. */
import { expect, test } from '@jest/globals';

import { PreviewPace } from '../../../lib/server/previewPace';

/** Steps of 100 ms, each with a preview where there may be one, which takes so long. */
function previewsOf(share: number, cost: number, steps: number): number[] {
  let time = 0;
  const pace = new PreviewPace(share, () => time);
  const made: number[] = [];
  for (let step = 1; step <= steps; step++) {
    time += 100;
    if (!pace.begin()) continue;
    made.push(step);
    time += cost;
    pace.end();
  }
  return made;
}

test('the first one is made, and the others as far as the share goes', () => {
  // Of 3 %: 6 ms come together in 200 ms.
  expect(previewsOf(0.03, 6, 8)).toEqual([1, 4, 6, 8]);
  expect(previewsOf(0.03, 50, 40)).toEqual([1, 33]);
  for (const cost of [4, 5, 20, 80]) {
    const spent = previewsOf(0.03, cost, 1000).length * cost;
    expect(spent).toBeLessThanOrEqual(cost + 0.03 * (100_000 + spent));
    expect(spent).toBeGreaterThan(0.02 * 100_000 - cost);
  }
});

test('there are at most 20 a second', () => {
  let time = 0;
  const pace = new PreviewPace(0.5, () => time);
  let made = 0;
  for (time = 1; time <= 1000; time++) {
    if (!pace.begin()) continue;
    made++;
    pace.end();
  }
  expect(made).toBe(20);
});

test('1 is one after every step, 0 is none', () => {
  expect(previewsOf(1, 50, 4)).toEqual([1, 2, 3, 4]);
  expect(previewsOf(0, 0, 4)).toEqual([]);
});

test('there is one at a time', () => {
  const pace = new PreviewPace(1);
  expect([pace.isNew, pace.begin(), pace.isNew, pace.begin()]).toEqual([true, true, false, false]);
  pace.end();
  expect(pace.begin()).toBe(true);
});
