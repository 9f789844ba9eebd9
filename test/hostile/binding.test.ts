/**
 * Every function that the addon gives JavaScript, called with what it is not made for: no arguments, other types, sizes
 * that overflow, NaN, detached buffers, another `this`, and calls that are right but for one place. Each in a process
 * that may end: none does, and every error has a code.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, test } from '@jest/globals';

import { buildChild, Child } from './pool';

const work = mkdtempSync(join(tmpdir(), 'binding-'));
process.env['FUZZ_ROOT'] ??= join(__dirname, '..', '..');
const program = buildChild('test/hostile/bindingChild.ts');

afterAll(() => {
  rmSync(program);
  rmSync(work, { recursive: true, force: true });
});

async function ask(task: object): Promise<string> {
  const child = new Child(program, work, 170_000);
  const { end, untyped } = await child.run(task);
  await child.close();
  return untyped === undefined ? end : `${end}: ${untyped}`;
}

/** Those of lib/native/addon.ts; the first test holds that there are no others. */
const functions = [
  ...[
    'info',
    'cuda',
    'memory',
    'emptyCache',
    'resetPeakMemory',
    'gaussian',
    'confine',
    'load',
    'loadComponent',
    'storeQuantised',
  ],
  ...['describe', 'find', 'shapes', 'forward', 'sample', 'dispose'].map((name) => `model.${name}`),
  ...['describe', 'run', 'pictures', 'dispose'].map((name) => `component.${name}`),
  ...['cancel', 'stepRead', 'recordsRead'].map((name) => `run.${name}`),
];

test('these are all functions there are', async () => {
  // `promise` is no function.
  expect((await ask({})).split(' ').sort()).toEqual([...functions].sort());
});

test.each(functions)('%s', async (name) => {
  expect(await ask({ name })).toMatch(/^\d{2,} calls$/);
});
