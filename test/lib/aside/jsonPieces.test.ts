/** JSON in pieces is the JSON of one go. */
import { expect, test } from '@jest/globals';

import { base64Of } from '../../../lib/aside/json';
import { jsonPieces } from '../../../lib/aside/jsonPieces';

const joined = (value: unknown, rounded?: (value: number) => number) =>
  [...jsonPieces(value, rounded)].map((part) => (typeof part === 'string' ? part : base64Of(part))).join('');

const numbers = Float64Array.from({ length: 5000 }, (_, at) => Math.sin(at) * 10 ** (at % 9));

test.each<[string, unknown]>([
  ['nothing', null],
  ['a number', -1.5e-300],
  ['what JSON has no number for', [NaN, Infinity, -Infinity, -0]],
  ['a text', 'a "text"\n\u2028 with \ud800 half a letter'],
  ['empty ones', { list: [], object: {}, lists: [[], [[]]], text: '' }],
  ['what JSON does not have', { a: undefined, b: () => 1, c: [undefined, () => 1, Symbol('x')], d: 1, e: undefined }],
  ['a hole in a list', [1, , 3]], // eslint-disable-line no-sparse-arrays -- as analyses leave them
  ['names', { '': 1, __proto__: 2, 'a"b': { 'ü\n': [{ deep: [[['x']]] }] } }],
  ['many numbers', { values: [...numbers], rows: [[...numbers], [...numbers].reverse()], after: true }],
  ['many objects', [...numbers].map((value, at) => ({ value, at, inner: { at: [at] } }))],
])('%s', (_, value) => {
  expect(joined(value)).toBe(JSON.stringify(value));
});

test('a large value comes in small pieces', () => {
  const pieces = [...jsonPieces({ rows: Array.from({ length: 50 }, () => [...numbers]) })];
  expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(2 ** 14);
  expect(pieces.length).toBeGreaterThan(100);
});

test('byte arrays stand where their base64 belongs, numbers are rounded', () => {
  const bytes = Uint8Array.from({ length: 1000 }, (_, at) => at % 256);
  const value = { first: bytes, list: [bytes, 1.25, { bytes }], last: new Uint8Array() };
  const text = base64Of(bytes);
  const expected = { first: text, list: [text, 1, { bytes: text }], last: '' };
  expect(joined(value, Math.floor)).toBe(JSON.stringify(expected));
});
