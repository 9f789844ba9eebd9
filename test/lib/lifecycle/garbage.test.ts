/** A pipeline that is dropped without dispose() finishes what it was asked for, and then its model is freed. */
import { expect, test } from '@jest/globals';

import { runProgram, slope } from './child';

test('pipelines that nobody disposes of', async () => {
  const { how, stdout, stderr } = await runProgram('garbage.cjs', ['16'], ['--expose-gc']);
  expect([how, stderr]).toEqual([0, '']);
  const { resident, pictures } = JSON.parse(stdout) as { resident: number[]; pictures: number };
  expect(pictures).toBe(16);
  expect(slope(resident.slice(6))).toBeLessThan(4);
}, 300_000);
