/**
 * Worker threads that are ended in the middle of something: the process goes on, and so does a pipeline of its main
 * thread; what a worker had loaded is freed (the embedded model is 12 MB).
 */
import { createRequire } from 'node:module';

import { expect, test } from '@jest/globals';

import { runProgram, slope } from './child';

const scenarios = createRequire(__filename)('./programs/workers.cjs') as string[];
const names = scenarios.map((name) => [name]);
const workers = 12;

test.each(names)(
  '%s',
  async (name) => {
    const { how, stdout, stderr } = await runProgram('workers.cjs', [name, String(workers)], ['--expose-gc']);
    expect([how, stderr]).toEqual([0, '']);
    const { resident, same } = JSON.parse(stdout) as { resident: number[]; same: boolean };
    expect(same).toBe(true);
    // Megabytes a worker; the first ones fill what allocators keep.
    expect(slope(resident.slice(4))).toBeLessThan(4);
  },
  300_000,
);
