/** What an application has to ship of libtorch, packed and used where there is no other. */
import { spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { loadPipeline, packLibtorch, type PackedLibtorch, type PackProgress } from '../../lib';
import { buildFolder, root } from '../../setup/cache.cjs';

import { run as runCli } from './cli/run';

let base: string;
beforeAll(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'pack-')));
});
afterAll(() => rm(base, { recursive: true, force: true }));

describe('a packed libtorch', () => {
  let packed: PackedLibtorch;
  const told: PackProgress[] = [];
  beforeAll(async () => {
    // A folder that is there and empty will do.
    await mkdir(join(base, 'libtorch'));
    packed = await packLibtorch(join(base, 'libtorch'), { onProgress: (event) => void told.push(event) });
  }, 300_000);

  test('says what is in it, and how large it is', async () => {
    const names = packed.libraries.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['libtorch.so', 'libtorch_cpu.so', 'libc10.so']));
    expect((await readdir(join(packed.folder, 'lib'))).sort()).toEqual([...names].sort());
    expect((await readdir(packed.folder)).sort()).toEqual(['lib', 'licences', 'version.py']);
    expect(packed.bytes).toBe(packed.libraries.reduce((sum, { bytes }) => sum + bytes, 0));
    const { libtorchVersion, cuda } = JSON.parse(
      await readFile(join(buildFolder(), 'Release', 'build-info.json'), 'utf8'),
    ) as { libtorchVersion: string; cuda: boolean };
    expect([packed.version, packed.cuda !== null]).toEqual([libtorchVersion, cuda]);
    // cuDNN and the run-time compiler are not in memory before a GPU asks for them.
    const later = names.filter((name) => /^lib(cudnn_ops|cudnn_graph|nvrtc)\.so/.test(name));
    expect(later).toHaveLength(cuda ? 3 : 0);
    // Headers, Python's own and static libraries are the rest of what PyTorch installs.
    expect(names.filter((name) => /python|\.a$|static|cusolver/.test(name))).toEqual([]);
  });

  test('tells how far it is', () => {
    expect(told.map(({ name }) => name).sort()).toEqual(packed.libraries.map(({ name }) => name).sort());
    expect(told.at(-1)).toMatchObject({ done: packed.bytes, total: packed.bytes });
    expect(told.every(({ done }, at) => at === 0 || done > told[at - 1]!.done)).toBe(true);
  });

  test('has the licences', async () => {
    const [torch] = (await readdir(join(packed.folder, 'licences'))).filter((name) => /^(torch-|libtorch)/.test(name));
    const files = await readdir(join(packed.folder, 'licences', torch!));
    expect(files.join()).toMatch(/licen[cs]e/i);
  });

  test('is enough: where no other can be found, the same bytes', async () => {
    // The addon, without a word of the libtorch that it was built with.
    const release = join(base, 'build', 'Release');
    await cp(join(buildFolder(), 'Release'), release, { recursive: true });
    const info = JSON.parse(await readFile(join(release, 'build-info.json'), 'utf8')) as object;
    const moved = { ...info, libtorchPath: '/nowhere', libtorchLib: '/nowhere' };
    await writeFile(join(release, 'build-info.json'), JSON.stringify(moved));
    const program = `
      const { loadPipeline } = require(${JSON.stringify(join(root, 'dist', 'index.cjs'))});
      (async () => {
        const pipeline = await loadPipeline('embedded', { device: 'cpu' });
        const { images } = await pipeline.generate({ classLabel: 7, seed: 7, numInferenceSteps: 2 });
        const { sharedObjects } = process.report.getReport();
        console.log(JSON.stringify({ png: Buffer.from(images[0].toPng()).toString('base64'), sharedObjects }));
        await pipeline.dispose();
      })();`;
    const inside = (LIBTORCH: string | undefined) =>
      new Promise<{ stdout: string; stderr: string }>((settle) => {
        const env = {
          PATH: '/nowhere',
          HOME: base,
          DETAIL_GUIDANCE_CACHE: join(base, 'cache'),
          DETAIL_GUIDANCE_BUILD: dirname(release),
          ...(LIBTORCH === undefined ? {} : { LIBTORCH }),
        };
        const child = spawn(process.execPath, ['-e', program], { cwd: base, env });
        let [stdout, stderr] = ['', ''];
        child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
        child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
        child.on('close', () => settle({ stdout, stderr }));
      });
    expect((await inside(undefined)).stderr).toContain('LIBTORCH_NOT_FOUND');
    const { stdout, stderr } = await inside(packed.folder);
    expect(stderr).toBe('');
    const { png, sharedObjects } = JSON.parse(stdout) as { png: string; sharedObjects: string[] };
    await using pipeline = await loadPipeline('embedded', { device: 'cpu' });
    const { images } = await pipeline.generate({ classLabel: 7, seed: 7, numInferenceSteps: 2 });
    expect(Buffer.from(images[0]!.toPng()).equals(Buffer.from(png, 'base64'))).toBe(true);
    const names = new Set(packed.libraries.map(({ name }) => name));
    const loaded = sharedObjects.filter((file) => names.has(basename(file)));
    expect(loaded.length).toBeGreaterThanOrEqual(4);
    expect(loaded.filter((file) => dirname(file) !== join(packed.folder, 'lib'))).toEqual([]);
    expect(sharedObjects.filter((file) => file.includes('site-packages'))).toEqual([]);
  });
});

describe('what cannot be packed', () => {
  test('a folder with something in it stays as it is', async () => {
    const full = join(base, 'full');
    await mkdir(full);
    await writeFile(join(full, 'mine'), 'mine');
    await expect(packLibtorch(full)).rejects.toMatchObject({
      code: 'OUTPUT_EXISTS',
      message: `${full}: expected a folder that does not exist or is empty, received one with something in it.`,
    });
    expect(await readdir(full)).toEqual(['mine']);
    await expect(packLibtorch(join(full, 'mine'))).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
  });

  test.each([
    ['a folder in one that does not exist', (): string => join(base, 'no', 'libtorch')],
    ['a folder in a file', (): string => join(base, 'full', 'mine', 'libtorch')],
    ['a place where nothing can be written', (): string => '/proc/libtorch'],
  ])('%s', async (_name, place) => {
    await expect(packLibtorch(place())).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
  });

  test.each([
    ['no folder', '', {}],
    ['a number', 7, {}],
    ['an option that is none', 'x', { onProgres: () => undefined }],
    ['a callback that is none', 'x', { onProgress: 1 }],
  ])('%s', async (_name, folder, options) => {
    await expect(packLibtorch(folder as string, options as object)).rejects.toMatchObject({ code: 'BAD_OPTION' });
  });

  test('one that is given up leaves nothing', async () => {
    const stop = new AbortController();
    const given = packLibtorch(join(base, 'stopped'), { signal: stop.signal, onProgress: () => stop.abort() });
    await expect(given).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' });
    expect((await readdir(base)).filter((name) => name.includes('stopped'))).toEqual([]);
  });

  test('from a shell', async () => {
    const { code, stdout, stderr } = await runCli(['pack-libtorch', join(base, 'full')]);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^OUTPUT_EXISTS: /);
  });
});
