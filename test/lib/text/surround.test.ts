/** What surrounds a prompt's tokens, and what is cut off. */
import { expect, test } from '@jest/globals';

import { cleanPrompt } from '../../../lib/text/cleaning';
import { surround } from '../../../lib/text/surround';

const clip = { file: '', kind: 'clip', padId: 9, startId: 7, endId: 8, cleaning: 'none' } as const;
const t5 = { file: '', kind: 't5', padId: 0, endId: 1, cleaning: 'none' } as const;

test('CLIP: start, text, end, padding', () => {
  expect(surround([1, 2], 6, clip)).toEqual({ ids: [7, 1, 2, 8, 9, 9], mask: [1, 1, 1, 1, 0, 0], removed: [] });
});

test('T5: text, end, padding', () => {
  expect(surround([4, 5], 4, t5)).toEqual({ ids: [4, 5, 1, 0], mask: [1, 1, 1, 0], removed: [] });
});

test('a text that is too long is cut, what surrounds it stays', () => {
  expect(surround([1, 2, 3, 4], 5, clip)).toEqual({ ids: [7, 1, 2, 3, 8], mask: [1, 1, 1, 1, 1], removed: [4] });
  expect(surround([4, 5, 6], 2, t5)).toEqual({ ids: [4, 1], mask: [1, 1], removed: [5, 6] });
});

test('an empty prompt is what surrounds it', () => {
  expect(surround([], 3, clip).ids).toEqual([7, 8, 9]);
  expect(surround([], 3, t5).ids).toEqual([1, 0, 0]);
});

test('cleaning', () => {
  expect(cleanPrompt(' A  Cat ', 'none')).toBe(' A  Cat ');
  expect(cleanPrompt(' A  Cat ', 'lower')).toBe('a  cat');
  expect(cleanPrompt(' A &amp;lt; b\n&#67;at&#x21; &unknown; ', 'html')).toBe('A < b Cat! &unknown;');
});
