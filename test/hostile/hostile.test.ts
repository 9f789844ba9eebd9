/** Archives that mean harm: each ends in an error with a code, and nothing of the user's is touched. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { harmlessCases, hostileCases, type HostileCase } from './cases';
import { buildChild, Child } from './pool';

const folder = mkdtempSync(join(tmpdir(), 'hostile-'));
const work = join(folder, 'work');
const canary = 'nobody reads or writes this';
let child: Child;
let program: string;

beforeAll(() => {
  mkdirSync(work);
  writeFileSync(join(work, 'canary.txt'), canary);
  child = new Child((program = buildChild('test/hostile/child.ts')), work);
});

afterAll(async () => {
  await child.close();
  rmSync(program);
  rmSync(folder, { recursive: true, force: true });
});

async function endOf({ bytes }: HostileCase): Promise<string> {
  const file = join(folder, 'case.pt');
  writeFileSync(file, bytes);
  const { end, untyped } = await child.run({ file });
  expect(readdirSync(work)).toEqual(['canary.txt']);
  expect(readFileSync(join(work, 'canary.txt'), 'utf8')).toBe(canary);
  return untyped === undefined ? end : `${end}: ${untyped}`;
}

const cases = hostileCases();

test('there are more than a hundred', () => {
  expect(cases.length).toBeGreaterThan(100);
});

test.each(harmlessCases().map((each) => [each.name, each] as const))('harmless: %s', async (_, each) => {
  expect(each.ends).toContain(await endOf(each));
});

test.each(cases.map((each) => [each.name, each] as const))('%s', async (_, each) => {
  expect(each.ends).toContain(await endOf(each));
});
