/** The text of a PNG, read by pieces as a file's is, and of bytes as a page has them. */
import { expect, test } from '@jest/globals';

import { encodePng } from '../../../lib/image/png';
import { pngText, pngTextOf, PngProblem } from '../../../lib/image/pngText';

const text = { other: 'x', keyword: '{"a": 1}' };
const png = new Uint8Array(encodePng({ width: 3, height: 2, channels: 1, pixels: new Uint8Array(6), text }));

test('size and text, and none under another keyword', () => {
  expect(pngTextOf(png, 'keyword')).toEqual({ width: 3, height: 2, text: '{"a": 1}' });
  expect(pngTextOf(png, 'key')).toEqual({ width: 3, height: 2, text: null });
  // As a part of something longer.
  const longer = new Uint8Array([1, 2, 3, ...png]);
  expect(pngTextOf(longer.subarray(3), 'keyword').text).toBe('{"a": 1}');
});

test('pixels are not asked for', () => {
  const pixels = new Uint8Array(10_000).map((_, at) => at * 7919);
  const large = new Uint8Array(encodePng({ width: 100, height: 100, channels: 1, pixels, text }));
  const reading = pngText('keyword', large.length);
  let [next, sum] = [reading.next(), 0];
  while (!next.done) {
    const [at, length] = next.value;
    sum += length;
    next = reading.next(large.subarray(at, at + length));
  }
  expect(next.value.text).toBe('{"a": 1}');
  expect(sum).toBeLessThan(200);
});

test('what is cut short anywhere, and what is no PNG', () => {
  const problemOf = (bytes: Uint8Array) => {
    try {
      return pngTextOf(bytes, 'keyword');
    } catch (error) {
      return error instanceof PngProblem ? error.what : error;
    }
  };
  for (let length = 0; length < png.length; length++)
    expect([length, problemOf(png.subarray(0, length))]).toEqual([length, length < 8 ? 'no PNG' : 'cut short']);
  expect(problemOf(new TextEncoder().encode('<svg></svg>'))).toBe('no PNG');
});
