/** Set-up that cannot go on says what was wrong and lists every way out. Programs are hidden by an empty PATH. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { root } from '../../setup/cache.cjs';
import { findCompiler } from '../../setup/toolchain.cjs';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'failures-'));
  mkdirSync(join(folder, 'bin'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Puts a shell script on the PATH of the runs below. */
function program(name: string, body: string): void {
  const file = join(folder, 'bin', name);
  writeFileSync(file, `#!/bin/sh\n${body}\n`);
  chmodSync(file, 0o755);
}

function runSetup(code: string, env: NodeJS.ProcessEnv = {}) {
  const { status, stderr } = spawnSync(process.execPath, ['-e', code], {
    cwd: root,
    encoding: 'utf8',
    env: { PATH: join(folder, 'bin'), HOME: folder, DETAIL_GUIDANCE_CACHE: join(folder, 'cache'), ...env },
  });
  return { status, stderr };
}

const ensureLibtorch =
  "require('./setup/python.cjs').ensureLibtorch().catch((e) => { console.error(e.message); process.exit(1) })";

test('no Python', () => {
  const { status, stderr } = runSetup(ensureLibtorch);
  expect(status).toBe(1);
  expect(stderr).toContain('there is no python3 on PATH');
  for (const way of ['LIBTORCH=', 'LIBTORCH_USE_PYTORCH=1', 'python3-venv']) expect(stderr).toContain(way);
});

test('a Python that is too old', () => {
  program('python3', 'case "$*" in *executable*) echo "/old/python3 3.8.1";; *) exit 1;; esac');
  expect(runSetup(ensureLibtorch).stderr).toContain('python3 is 3.8.1; 3.10 or newer is needed');
});

test('a Python whose venv module does not work', () => {
  program(
    'python3',
    `case "$*" in *executable*) echo "${join(folder, 'bin/python3')} 3.11.2";; *) echo no ensurepip; exit 1;; esac`,
  );
  const { stderr } = runSetup(ensureLibtorch);
  expect(stderr).toContain('no ensurepip');
  expect(stderr).toContain('install the venv module of your Python (Debian: python3-venv)');
});

test('no disk space', () => {
  const { stderr } = runSetup(`require('node:fs').statfsSync = () => ({ bavail: 1, bsize: 1e9 }); ${ensureLibtorch}`);
  expect(stderr).toContain('needs about 6 GB in the cache folder, and 1.0 GB are free there');
  expect(stderr).toContain('DETAIL_GUIDANCE_CACHE');
});

test('a LIBTORCH that cannot be used is not passed over', () => {
  const { stderr } = runSetup(ensureLibtorch, { LIBTORCH: join(folder, 'nowhere') });
  expect(stderr).toContain('LIBTORCH was set, but what it names cannot be used');
  expect(stderr).toContain('there is no such folder');
});

test('no compiler, and one that is too old', () => {
  const requireCompiler =
    "try { require('./setup/toolchain.cjs').requireCompiler() } catch (e) { console.error(e.message) }";
  const { stderr } = runSetup(requireCompiler);
  expect(stderr).toContain('there is no g++, c++, clang++ on PATH');
  expect(stderr).toContain('Debian: g++ and make');
  program('g++', 'case "$1" in --version) echo "g++ 9.4.0";; *) echo 9.4.0;; esac');
  expect(runSetup(requireCompiler).stderr).toContain('g++ is gcc 9.4.0; 11 or newer is needed');
});

test('the compiler of this machine is found, and CXX names another', () => {
  expect(findCompiler({ CXX: 'no-such-compiler' }).reason).toBe('there is no no-such-compiler on PATH');
});

test('a step that fails shows the end of its output and where all of it is', () => {
  program('breaks', 'echo the reason; exit 3');
  const { stderr } = runSetup(
    "require('./setup/steps.cjs').step('a step', 'breaks', []).catch((e) => console.error(e.message))",
    { PATH: `${join(folder, 'bin')}${delimiter}/bin` },
  );
  expect(stderr).toContain('breaks ended with status 3');
  expect(stderr).toContain('the reason');
  expect(stderr).toContain(join('logs', 'a-step.log'));
});
