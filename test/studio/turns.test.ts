/** Work of which only so much is done at a time. */
import { expect, test } from '@jest/globals';

import { Turns } from '../../studio/src/state/turns';

/** Work that ends when it is told. */
function piece() {
  let end = () => {};
  const ended = new Promise<void>((resolve) => (end = resolve));
  return { work: () => ended, end };
}

const soon = () => new Promise((resolve) => setImmediate(resolve));

test('two at a time, in the order in which they came; one that is called off keeps nobody waiting', async () => {
  const turns = new Turns(2);
  const begun: string[] = [];
  const abort = new AbortController();
  const pieces = { a: piece(), b: piece(), c: piece(), d: piece() };
  const endings = Object.entries(pieces).map(([name, { work }]) =>
    turns.take(name === 'c' ? abort.signal : new AbortController().signal, async () => {
      begun.push(name);
      await work();
      return name;
    }),
  );
  await soon();
  expect(begun).toEqual(['a', 'b']);
  abort.abort();
  expect(await endings[2]).toBeNull();
  pieces.b.end();
  expect(await endings[1]).toBe('b');
  await soon();
  expect(begun).toEqual(['a', 'b', 'd']);
  pieces.a.end();
  pieces.d.end();
  expect(await Promise.all(endings)).toEqual(['a', 'b', null, 'd']);
});

test('work that fails gives its turn away', async () => {
  const turns = new Turns(1);
  const { signal } = new AbortController();
  await expect(turns.take(signal, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await turns.take(signal, () => Promise.resolve('next'))).toBe('next');
});
