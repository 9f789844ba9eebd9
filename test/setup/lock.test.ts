/** One set-up at a time in a cache folder. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { root } from '../../setup/cache.cjs';

let cache: string;
let lock: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'lock-'));
  lock = join(cache, 'setup.lock');
});
afterEach(() => rmSync(cache, { recursive: true, force: true }));

/** A process that does `work` exclusively. */
function start(work: string) {
  const code = `const { exclusively } = require(${JSON.stringify(join(root, 'setup/lock.cjs'))});
    const { appendFileSync } = require('node:fs');
    const note = (text) => appendFileSync(${JSON.stringify(join(cache, 'notes'))}, text + '\\n');
    exclusively(async () => { ${work} });`;
  const child = spawn(process.execPath, ['-e', code], {
    env: { ...process.env, DETAIL_GUIDANCE_CACHE: cache },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return { child, ended: once(child, 'close').then(([code]) => ({ code: code as number | null, stderr })) };
}

const notes = () => readFileSync(join(cache, 'notes'), 'utf8').trim().split('\n');

test('the second waits for the first, says so, and leaves nothing', async () => {
  const first = start(`note('begin'); while (!require('node:fs').existsSync(${JSON.stringify(join(cache, 'go'))}))
    await new Promise((resolve) => setTimeout(resolve, 20)); note('end');`);
  while (!existsSync(lock)) await new Promise((resolve) => setTimeout(resolve, 20));
  const second = start("note('second')");
  // The second has come to the lock: it says so once.
  await once(second.child.stderr, 'data');
  appendFileSync(join(cache, 'go'), '');
  expect(await first.ended).toEqual({ code: 0, stderr: '' });
  const { code, stderr } = await second.ended;
  expect([code, stderr]).toEqual([0, `> another set-up works in ${cache}: waiting for it (${lock})\n`]);
  expect(notes()).toEqual(['begin', 'end', 'second']);
  expect(existsSync(lock)).toBe(false);
});

test('work inside work does not wait for itself, and what fails gives the lock back', async () => {
  const nested = start("await exclusively(async () => note('inner')); note('outer')");
  expect((await nested.ended).code).toBe(0);
  expect(notes()).toEqual(['inner', 'outer']);
  const failed = start("throw new Error('no')");
  expect((await failed.ended).code).not.toBe(0);
  expect(existsSync(lock)).toBe(false);
});

test('the lock of a process that was killed is no lock', async () => {
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  writeFileSync(lock, `${pid} ${hostname()}`);
  expect(await start("note('taken over')").ended).toEqual({ code: 0, stderr: '' });
});

test('nor is one of another machine that gives no sign of life', async () => {
  writeFileSync(lock, `1 another-machine`);
  const longAgo = Date.now() / 1000 - 3600;
  utimesSync(lock, longAgo, longAgo);
  expect(await start("note('taken over')").ended).toEqual({ code: 0, stderr: '' });
});
