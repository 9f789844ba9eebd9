/**
 * The process ends while native threads compute: its exit code is the user's, whatever runs. libtorch's static objects go
 * when a process ends; before a thread that uses them was waited for, 10 to 37 % of these ended by a signal. A failure of
 * 10 % is missed by all of 36 endings with a probability of 2 %; `npm run soak` does more.
 */
import { createRequire } from 'node:module';

import { expect, test } from '@jest/globals';

import { runProgram } from './child';

const scenarios = createRequire(__filename)('./programs/exit.cjs') as string[];
const names = scenarios.map((name) => [name]);
const byException = new Set(['an uncaught exception', 'an unhandled rejection']);

test.each(names)(
  '%s',
  async (name) => {
    const ended = [];
    for (const milliseconds of [0, 40, 160])
      ended.push((await runProgram('exit.cjs', [name, String(milliseconds)])).how);
    expect(ended).toEqual(ended.map(() => (byException.has(name) ? 1 : 7)));
  },
  300_000,
);
