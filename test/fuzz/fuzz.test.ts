/** A small part of `npm run fuzz`, and that it sees what it looks for. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, test } from '@jest/globals';

import { Child } from '../hostile/pool';

import { mutateBytes } from './bytes';
import { fuzz } from './fuzz';
import { kinds } from './kinds';
import { Random } from './random';

process.env['FUZZ_ROOT'] = join(__dirname, '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'fuzz-test-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a hundred random cases of every kind end well', async () => {
  const keep = join(folder, 'kept');
  const report = await fuzz({ cases: 120, seed: 1, kinds, keep });
  expect(report.faults).toEqual([]);
  expect(report.cases).toBe(120);
  expect(Object.keys(report.ends).sort()).toEqual([...kinds].sort());
  expect(existsSync(keep)).toBe(false);
}, 600_000);

test('a case is the same again from its seed', () => {
  const bytes = Buffer.alloc(100, 'x');
  const once = Array.from({ length: 5 }, (_, seed) => mutateBytes(new Random(seed), bytes).toString('hex'));
  const again = Array.from({ length: 5 }, (_, seed) => mutateBytes(new Random(seed), bytes).toString('hex'));
  expect(again).toEqual(once);
  expect(new Set(once).size).toBeGreaterThan(1);
});

test.each([
  ['crash', "process.on('message', () => process.kill(process.pid, 'SIGSEGV'));"],
  ['crash', "process.on('message', () => process.exit(3));"],
  ['hang', "process.on('message', () => { for (;;); });"],
  ['ok', "process.on('message', () => process.send({ end: 'ok' }));"],
])(
  'a child that ends in: %s',
  async (end, source) => {
    const program = join(folder, 'child.cjs');
    writeFileSync(program, source);
    const child = new Child(program, folder, end === 'hang' ? 2000 : undefined);
    expect((await child.run({})).end).toBe(end);
    // And another one is there for the next.
    expect((await child.run({})).end).toBe(end);
    await child.close();
  },
  120_000,
);
