/** The rows of the gallery that are in the page come one by one, those in sight first. */
import { expect, test } from '@jest/globals';

import { around, nearer, type ListWindow, type Target } from '../../studio/src/gallery/rows';

const target = (seen: number, end: number, columns = 8): Target => ({
  columns,
  rowHeight: 190,
  first: Math.max(0, seen - 3),
  end,
  seen,
  hasFocus: false,
});
const nothing: ListWindow = { columns: 2, rowHeight: 200, first: 0, end: 0 };

function way(from: ListWindow, to: Target): [first: number, end: number][] {
  const steps: [number, number][] = [];
  for (let now = from, count = 0; count < 100; count++) {
    now = nearer(now, to);
    const last = steps.at(-1);
    if (last && last[0] === now.first && last[1] === now.end) return steps;
    steps.push([now.first, now.end]);
  }
  throw new Error('It never arrives.');
}

test.each([
  ['a page that is opened', nothing, target(0, 8)],
  ['a jump', { columns: 8, rowHeight: 190, first: 0, end: 8 }, target(600, 608)],
  ['a turn of the wheel', { columns: 8, rowHeight: 190, first: 0, end: 8 }, target(5, 13)],
  ['and back', { columns: 8, rowHeight: 190, first: 10, end: 24 }, target(8, 17)],
  ['another width', { columns: 5, rowHeight: 210, first: 3, end: 14 }, target(4, 12)],
  ['one row', nothing, target(0, 1)],
])('%s', (_, from, to) => {
  const steps = way(from, to);
  expect(steps.at(-1)).toEqual([to.first, to.end]);
  let before: [number, number] | null = null;
  for (const [first, end] of steps) {
    // At most one row more than what is left of those before.
    const kept = before ? Math.max(0, Math.min(end, before[1]) - Math.max(first, before[0])) : null;
    if (kept !== null) expect(end - first - kept).toBeLessThanOrEqual(1);
    // Rows above are not made before the first in sight is there.
    if (first < to.seen) expect(end).toBeGreaterThan(to.seen);
    before = [first, end];
  }
});

test('another width, and the keyboard in the list: the neighbours of its row are there at once', () => {
  const from = { columns: 5, rowHeight: 210, first: 3, end: 14 };
  expect(nearer(from, { ...target(6, 12), hasFocus: true })).toMatchObject({ first: 5, end: 8 });
  expect(nearer(from, { ...target(0, 1), hasFocus: true })).toMatchObject({ first: 0, end: 1 });
});

test('an empty list has no rows', () => {
  expect(nearer(nothing, { ...target(0, 0), seen: 0 })).toMatchObject({ first: 0, end: 0 });
});

test.each([
  ['the last row', 15, [0, 3]],
  ['the last row, the first of them', 8, [0, 3]],
  ['the first row', 0, [0, 2]],
  ['the last of all', 99, [0, 13]],
])('around a picture of %s', (_, picture, [first, end]) => {
  const now: ListWindow = { columns: 8, rowHeight: 190, first: 0, end: 2 };
  expect(around(now, picture, 100)).toEqual({ ...now, first, end });
});

test('around a picture of the first row that is in the page there is one above it', () => {
  const now: ListWindow = { columns: 8, rowHeight: 190, first: 5, end: 9 };
  expect(around(now, 40, 100)).toEqual({ ...now, first: 4 });
});
