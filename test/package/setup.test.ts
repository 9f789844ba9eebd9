/** From `npm install` to a loaded addon: what is said when something is missing, and where things are then found. */
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test } from '@jest/globals';

import { cachedBuild } from '../../setup/addon.cjs';
import { buildFolder } from '../../setup/cache.cjs';
import { findLibtorch, libraryFile } from '../../setup/libtorch.cjs';

import { Application, picture } from './application';

let application: Application;
let cli: string;
beforeAll(async () => {
  application = await Application.install();
  cli = join(application.installed, 'dist', 'cli.js');
  await application.write(
    'app.mjs',
    `import { loadPipeline } from 'detail-guidance';
     (async () => {${picture}})().catch(({ code, message }) => console.log(code, message));`,
  );
}, 60_000);
afterAll(() => application.remove());

let cache: string;
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'cache-'));
});
afterEach(() => rm(cache, { recursive: true, force: true }));

/** A machine with nothing but Node and what every Debian has. */
const bare = () => ({
  PATH: ['/usr/bin', '/bin'].join(delimiter),
  DETAIL_GUIDANCE_CACHE: cache,
  DETAIL_GUIDANCE_BUILD: '',
  DETAIL_GUIDANCE_TORCH_BUILD: 'cuda',
  LIBTORCH_USE_PYTORCH: '0',
});

test('npm install: one line with the one command, and nothing is downloaded', async () => {
  const { code, stdout, stderr } = await application.node([join(application.installed, 'setup/install.cjs')], bare());
  expect(stderr).toMatch(/^detail-guidance: the native addon is missing: run `npx detail-guidance setup`.*\n$/);
  expect([code, stdout, await readdir(cache)]).toEqual([0, '', []]);
});

test('a program before set-up: ADDON_NOT_BUILT with that command', async () => {
  const { stdout } = await application.node(['app.mjs'], bare());
  expect(stdout).toMatch(/^ADDON_NOT_BUILT The native addon is not built .*: run `npx detail-guidance setup`/);
});

test('setup shows what it would download and how large that is, and does not without a yes', async () => {
  const { code, stderr } = await application.node([cli, 'setup'], bare());
  expect(stderr).toContain('libtorch is missing\n');
  expect(stderr).toContain(`To download, into ${cache}:\n`);
  expect(stderr).toContain('PyTorch, CUDA build (libtorch comes with it): about 2.7 GB, 5 GB on disk');
  // One that is there, of whatever version, is not replaced.
  if (!existsSync('/usr/bin/nvcc')) expect(stderr).toContain('nvcc: about 50 MB, 0.3 GB on disk (compiles the CUDA');
  expect(stderr).toContain('SETUP_FAILED: Nothing was downloaded');
  expect(stderr).toContain('--yes');
  expect([code, await readdir(cache)]).toEqual([1, []]);
});

test('setup without a compiler says so before anything is fetched', async () => {
  const { code, stderr } = await application.node([cli, 'setup', '--yes'], { ...bare(), CXX: 'no-such-compiler' });
  expect(stderr).toMatch(/^SETUP_FAILED: The native addon cannot be compiled: there is no no-such-compiler on PATH/);
  expect([code, await readdir(cache)]).toEqual([1, []]);
});

test('setup without a compiler says so before its plan, also where libtorch is there', async () => {
  const env = { DETAIL_GUIDANCE_BUILD: '', DETAIL_GUIDANCE_CACHE: cache, CXX: 'no-such-compiler' };
  const { code, stderr } = await application.node([cli, 'setup'], { ...env, LIBTORCH: findLibtorch().path });
  expect(stderr).toMatch(/^SETUP_FAILED: The native addon cannot be compiled: there is no no-such-compiler on PATH/);
  expect(code).toBe(1);
});

test('an addon in the cache serves a package that cannot be written to', async () => {
  // The tarball's sources are this repository's, so the fingerprint is too.
  const built = join(cachedBuild({ DETAIL_GUIDANCE_CACHE: cache }), 'Release');
  await cp(join(buildFolder(), 'Release'), built, { recursive: true });
  const { DETAIL_GUIDANCE_CACHE } = bare();
  const { stdout } = await application.node(['app.mjs'], { DETAIL_GUIDANCE_CACHE, DETAIL_GUIDANCE_BUILD: '' });
  expect(stdout).toMatch(/^[0-9a-f]{64}\n$/);
}, 60_000);

test('setup brings the addon of the cache, also where an older one is in the package', async () => {
  const { path } = findLibtorch();
  const env = { LIBTORCH: path, DETAIL_GUIDANCE_CACHE: cache, DETAIL_GUIDANCE_BUILD: '', CXX: 'no-such-compiler' };
  const built = cachedBuild({ DETAIL_GUIDANCE_CACHE: cache });
  await cp(join(buildFolder(), 'Release'), join(built, 'Release'), { recursive: true });
  // As another project's set-up has left it.
  await application.write(
    'stamp.cjs',
    `const from = (name) => require(${JSON.stringify(join(application.installed, 'setup'))} + '/' + name + '.cjs');
     const libtorch = from('libtorch').findLibtorch();
     const { stamps } = from('target').targetOf(libtorch, from('nvcc').findNvcc(libtorch));
     for (const { file, digest } of stamps) from('cache').writeStamp(file, digest);`,
  );
  const stamped = await application.node(['stamp.cjs'], env);
  expect([stamped.code, stamped.stderr]).toEqual([0, '']);
  const own = join(application.installed, 'build', 'Release');
  try {
    await cp(join(buildFolder(), 'Release'), own, { recursive: true });
    await writeFile(join(own, 'build-info.json'), '{"libtorchVersion": "2.12.0"}');
    const { code, stderr } = await application.node([cli, 'setup'], env);
    expect(stderr).toContain('Nothing has to be downloaded.\nThe addon is ready');
    expect(code).toBe(0);
    const info = (folder: string) => readFile(join(folder, 'build-info.json'), 'utf8');
    expect(await info(own)).toBe(await info(join(built, 'Release')));
  } finally {
    await rm(join(application.installed, 'build'), { recursive: true, force: true });
  }
}, 60_000);

test('an addon that the dynamic linker refuses: ADDON_NOT_BUILT with its words', async () => {
  const built = join(cache, 'Release');
  await cp(await realpath(join(buildFolder(), 'Release')), built, { recursive: true });
  await writeFile(join(built, 'preload.node'), 'no library');
  const { stdout } = await application.node(['app.mjs'], { DETAIL_GUIDANCE_BUILD: cache });
  expect(stdout).toMatch(
    /^ADDON_NOT_BUILT The native addon in .*Release does not load: .*preload\.node.*--no-prebuilt/,
  );
});

test('another libtorch than the one of the build: LIBTORCH_MISMATCH with both', async () => {
  for (const name of ['torch', 'torch_cpu', 'c10']) {
    await mkdir(join(cache, 'lib'), { recursive: true });
    await writeFile(join(cache, 'lib', libraryFile(name)), '');
  }
  await writeFile(join(cache, 'build-version'), '2.14.0+cpu\n');
  const { stdout } = await application.node(['app.mjs'], { LIBTORCH: cache, DETAIL_GUIDANCE_BUILD: buildFolder() });
  expect(stdout).toMatch(/^LIBTORCH_MISMATCH The addon was built for libtorch 2\.\d+.*, and the one found is 2\.14\.0/);
});

test('in Electron’s app.asar the copy in app.asar.unpacked is read; without one the error says how to get it', async () => {
  const resources = join(dirname(application.folder), 'resources');
  const inside = join(resources, 'app.asar', 'node_modules');
  const unpacked = join(resources, 'app.asar.unpacked', 'node_modules', 'detail-guidance');
  await cp(join(application.folder, 'node_modules'), inside, { recursive: true, verbatimSymlinks: true });
  await cp(join(application.folder, 'app.mjs'), join(resources, 'app.asar', 'app.mjs'));
  const packed = join(inside, 'detail-guidance');
  // Without Electron a folder of such a name is a folder; real archives are in electron.test.ts.
  const electron = join(resources, 'electron.cjs');
  await writeFile(electron, "Object.defineProperty(process.versions, 'electron', { value: '33.2.1' });");
  const app = join(resources, 'app.asar', 'app.mjs');
  const alone = await application.node(['--require', electron, app]);
  expect(alone.stdout).toMatch(
    /^BUNDLE_NOT_FOUND .*app\.asar.*asarUnpack: '\*\*\/node_modules\/detail-guidance\/models\/embedded\/\*\*'/,
  );
  await cp(packed, unpacked, { recursive: true });
  // Electron's fs finds in an archive what was left out of it, too; libtorch and the loader do not.
  await rm(join(packed, 'models'), { recursive: true });
  const { stdout, stderr } = await application.node(['--require', electron, app]);
  expect([stdout, stderr]).toEqual([expect.stringMatching(/^[0-9a-f]{64}\n$/), '']);
}, 60_000);

describe('setup with a cache that cannot be used says so in words', () => {
  // Where nobody may make a folder, root neither; in a bare chroot it is a folder like others.
  (existsSync('/sys/kernel') ? test : test.skip)('of the system', async () => {
    const { code, stderr } = await application.node([cli, 'setup', '--yes'], {
      ...bare(),
      DETAIL_GUIDANCE_CACHE: '/sys/detail-guidance',
      DETAIL_GUIDANCE_TORCH_BUILD: 'cpu',
    });
    expect(stderr).toMatch(/^SETUP_FAILED: .* cannot be written: this user may not write there\./m);
    expect(stderr).toContain('DETAIL_GUIDANCE_CACHE=/elsewhere');
    expect(code).toBe(1);
  });

  (process.platform === 'linux' ? test : test.skip)('of a system that has no folders of users', async () => {
    const env = { ...bare(), DETAIL_GUIDANCE_CACHE: '/proc/x' };
    const { code, stderr } = await application.node([cli, 'setup', '--yes'], env);
    expect(stderr).toMatch(/^SETUP_FAILED: \/proc\/x cannot be written: no folder can be made there\./m);
    expect(code).toBe(1);
  });

  test('a file, before anything is asked', async () => {
    const file = join(cache, 'file');
    await writeFile(file, '');
    const { code, stderr } = await application.node([cli, 'setup', '--yes'], {
      ...bare(),
      DETAIL_GUIDANCE_CACHE: file,
    });
    expect(stderr).toMatch(/^SETUP_FAILED: .*file cannot be written: there is a file of that name\./m);
    expect(code).toBe(1);
  });
});
