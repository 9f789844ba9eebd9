/** Set-up that cannot go on says what was wrong and lists every way out. Programs are hidden by an empty PATH. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { root } from '../../setup/cache.cjs';
import { explain } from '../../setup/failure.cjs';
import { platformReason } from '../../setup/platform.cjs';
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
  "require('./setup/pytorch.cjs').ensureLibtorch().catch((e) => { console.error(e.message); process.exit(1) })";

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
  expect(stderr.match(/What was looked at/g)).toHaveLength(1);
  expect(stderr).toContain('install the venv module of your Python (Debian: python3-venv)');
});

test('no disk space', () => {
  const { stderr } = runSetup(
    `require('node:fs').statfsSync = () => ({ blocks: 9, bavail: 1, bsize: 1e9 }); ${ensureLibtorch}`,
    {
      DETAIL_GUIDANCE_TORCH_BUILD: 'cuda',
    },
  );
  expect(stderr).toMatch(/^PyTorch needs about 6 GB, and 1\.00 GB are free in .*cache/);
  expect(stderr).toContain('DETAIL_GUIDANCE_CACHE');
});

test('no disk space: said before the package index is asked, and before a question to the user', () => {
  program('python3', 'case "$*" in *executable*) echo "/bin/python3 3.11.2";; *) exit 1;; esac');
  program('g++', 'echo 12.2.0');
  const plan = `require('./setup/setup.cjs').planSetup().catch((e) => { console.error(e.message); process.exit(1) })`;
  const { status, stderr } = runSetup(
    `require('node:fs').statfsSync = () => ({ blocks: 9, bavail: 64, bsize: 1e6 }); ${plan}`,
    {
      DETAIL_GUIDANCE_TORCH_BUILD: 'cpu',
    },
  );
  expect(stderr).toMatch(/^PyTorch needs about 1\.9 GB, and 0\.06 GB are free in .*cache/);
  expect([status, existsSync(join(folder, 'cache'))]).toEqual([1, false]);
});

test('a LIBTORCH that cannot be used is not passed over', () => {
  const { stderr } = runSetup(ensureLibtorch, { LIBTORCH: join(folder, 'nowhere') });
  expect(stderr).toContain('LIBTORCH was set, but what it names cannot be used');
  expect(stderr).toContain('there is no such folder');
  expect(stderr).toContain('1. unset LIBTORCH');
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

test('the compiler is asked for before libtorch is fetched', () => {
  program('python3', 'case "$*" in *executable*) echo "/bin/python3 3.11.2";; *) exit 1;; esac');
  const build = "require('./setup/build.cjs').build().catch((e) => { console.error(e.message); process.exit(1) })";
  const { status, stderr } = runSetup(build);
  expect(status).toBe(1);
  expect(stderr).toMatch(/^The native addon cannot be compiled: there is no g\+\+/);
  // No virtual environment was made, and nothing was fetched into it.
  expect(existsSync(join(folder, 'cache'))).toBe(false);
});

test.each([
  ['linux', 'x64', true, /musl \(Alpine\), and PyTorch has builds for glibc only/],
  ['freebsd', 'x64', false, /no build for freebsd-x64/],
  ['linux', 'ia32', false, /no build for linux-ia32/],
])('no PyTorch for %s %s (musl: %s)', (platform, arch, musl, reason) => {
  expect(platformReason(platform, arch, musl)).toMatch(reason);
  expect(platformReason('linux', 'x64', false)).toBeNull();
});

test('on musl nothing is fetched, and a libtorch of the system is the way out', () => {
  const musl = 'process.report.getReport = () => ({ header: {} });';
  const { stderr } = runSetup(`${musl} ${ensureLibtorch}`);
  expect(stderr).toMatch(/^PyTorch cannot be installed here: this system is built on musl/);
  expect(stderr).toContain('LIBTORCH=/path/to/libtorch');
});

test('on musl no addon fits that is prebuilt for glibc', () => {
  const musl = 'process.report.getReport = () => ({ header: {} });';
  const place = `${musl} console.error(require('./setup/addon.cjs').prebuiltFolder({ version: '2.11.0', cuda: null }))`;
  expect(runSetup(place).stderr).toMatch(
    process.platform === 'linux' ? /linuxmusl-\w+.torch-2\.11-cpu\n$/ : /torch-2\.11-cpu\n$/,
  );
});

test('what the file system refuses is said in words, with ways out', () => {
  const refused = Object.assign(new Error('EACCES: permission denied, mkdir'), { code: 'EACCES', path: '/opt/x' });
  expect(explain(refused)).toMatchObject({
    code: 'SETUP_FAILED',
    message: expect.stringMatching(
      /^\/opt\/x cannot be written: this user may not write there\.\n.*\n.*DETAIL_GUIDANCE_CACHE/,
    ),
  });
  // A cache that is a file, a disk's quota.
  for (const code of ['ENOTDIR', 'EDQUOT', 'EEXIST', 'ELOOP', 'ENAMETOOLONG']) {
    expect(explain(Object.assign(new Error(), { code }))).toMatchObject({ code: 'SETUP_FAILED' });
  }
  const folders = Object.assign(new Error(), { code: 'ENOENT', syscall: 'mkdir', path: '/proc/x' });
  expect(explain(folders).message).toContain('/proc/x cannot be written: no folder can be made there.');
  const other = new Error('something else');
  expect(explain(other)).toBe(other);
});

const asRoot = process.getuid?.() === 0 ? test : test.skip;
asRoot('a checkout of another user', () => {
  const demo = "const { main } = require('./scripts/run.cjs'); process.setgid(65534); process.setuid(65534);";
  const { status, stderr } = runSetup(`${demo} main(['demo']).then((status) => process.exit(status))`);
  expect(stderr).toContain(`${root} cannot be written to by this user`);
  expect(stderr).toContain(`git clone ${root}`);
  expect(stderr).not.toContain('EACCES');
  expect(status).toBe(1);
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

const onLinux = process.platform === 'linux' ? test : test.skip;
onLinux('a step whose output the disk does not take ends with its own reason', () => {
  program('breaks', 'echo the reason; exit 3');
  const logs = join(folder, 'cache', 'logs');
  mkdirSync(logs, { recursive: true });
  symlinkSync('/dev/full', join(logs, 'a-step.log'));
  const { status, stderr } = runSetup(
    "require('./setup/steps.cjs').step('a step', 'breaks', []).catch((e) => console.error(e.message))",
    { PATH: `${join(folder, 'bin')}${delimiter}/bin` },
  );
  expect(stderr).toContain('breaks ended with status 3');
  expect(stderr).not.toContain('ENOSPC');
  expect(status).toBe(0);
});
