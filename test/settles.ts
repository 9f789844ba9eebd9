import { setTimeout as sleep } from 'node:timers/promises';

import { expect } from '@jest/globals';

/** Milliseconds that a page may take to show something: machines are slow, and busy with other tests. */
export const patience = 90_000;

/** Asserts that what is read off a page becomes `expected`: a page draws what it has been told a moment later. */
export async function settles<T>(read: () => Promise<T>, expected: T): Promise<void> {
  const end = Date.now() + patience;
  for (;;) {
    const found = await read();
    try {
      expect(found).toEqual(expected);
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
      await sleep(50);
    }
  }
}
