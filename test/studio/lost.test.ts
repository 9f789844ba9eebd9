/** What is named of a picture's settings because this page has no control for it. */
import { expect, test } from '@jest/globals';

import { lostOf } from '../../studio/src/state/lost';

const detail = { start: 0, stop: 1, scale: 0.3, layer: 2, channels: 'auto', retention: 0, stream: 'image', reuse: 1 };

test('what became what it was is not named, nor what only the request says', () => {
  expect(lostOf({ detail }, { detail: { ...detail, later: 1 }, classifierFree: {} })).toEqual([]);
  expect(lostOf({ detail: { ...detail, tokens: [1] } }, { detail: { ...detail, tokens: [[0, 1]] } })).toEqual([]);
  expect(lostOf({ limit: Infinity }, { limit: null })).toEqual([]);
});

test('each option that is another one or is none', () => {
  expect(lostOf({ detail: { ...detail, layer: [2, 5], reuse: 2 } }, { detail })).toEqual([
    'detail.layer',
    'detail.reuse',
  ]);
  expect(lostOf({ detail: [{ ...detail, stream: 'text' }, detail] }, { detail })).toEqual(['detail.stream']);
  expect(lostOf({ detail, apg: { eta: 1 } }, { detail })).toEqual(['apg']);
});

test('of what a stranger has written no more than a few short names', () => {
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`${at}`.padEnd(500, 'x'), at]));
  expect(lostOf(many, {}).join().length).toBeLessThan(600);
});
