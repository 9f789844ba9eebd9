import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { emptyCache, listDevices, loadPipeline, memoryStatistics, resetPeakMemory, type Pipeline } from '../../lib';
import { diagnose } from '../../lib/cli/diagnose';
import { native, readBuild } from '../../lib/native';
import { findNvcc, fitsRuntime } from '../../setup/nvcc.cjs';
import { hasOwnFloat32 } from '../processor';

const { folder, info } = readBuild();
const addon = join(folder, 'detail_guidance.node');
const readelf = spawnSync('readelf', ['--version']).status === 0;
/** A test that says in its name why it is skipped. */
const where = (holds: boolean, reason: string) =>
  holds ? test : (name: string, run: () => void) => test.skip(`${name} (${reason})`, run);

describe('linking', () => {
  where(info.cuda && readelf, 'a CPU build of libtorch, or no readelf')(
    'the addon needs libtorch_cuda and libc10_cuda',
    () => {
      const needed = spawnSync('readelf', ['--dynamic', '--wide', addon], { encoding: 'utf8' }).stdout;
      expect(needed).toMatch(/\(NEEDED\).*libtorch_cuda\.so/);
      expect(needed).toMatch(/\(NEEDED\).*libc10_cuda\.so/);
      expect(needed).not.toMatch(/\((RPATH|RUNPATH)\)/);
    },
  );

  test('what is linked is what is loaded, and doctor says it', async () => {
    const { cudaLinked, kernels } = native().info();
    expect(cudaLinked).toBe(info.cuda);
    expect(kernels).toBe(info.kernels?.architectures ?? null);
    const { addon: found } = await diagnose();
    expect(found).toMatchObject({ loads: true, cudaLinked: info.cuda, builtFor: { kernels: info.kernels } });
    expect(existsSync(join(folder, 'build-info.json'))).toBe(true);
  });
});

describe('nvcc', () => {
  const libtorch = { path: '/t', include: '/t', lib: '/t', version: '2.11.0', cuda: '13.0', cudaInclude: '/t/include' };

  test.each([
    ['13.0', '13.0', true],
    ['13.0', '13.2', true],
    ['13.2', '13.0', false],
    ['12.8', '13.0', false],
  ])('of %s for CUDA %s: %s', (version, cuda, fits) => {
    expect(fitsRuntime(version, cuda)).toBe(fits);
  });

  test('is not looked for where it could not be used, with the reason', () => {
    expect(findNvcc({ ...libtorch, cuda: null }, {}).reason).toBe('this libtorch is a CPU build');
    expect(findNvcc({ ...libtorch, cudaInclude: null }, {}).reason).toMatch(/no CUDA headers/);
    expect(findNvcc(libtorch, { DETAIL_GUIDANCE_NVCC: '0' }).reason).toBe('DETAIL_GUIDANCE_NVCC=0');
    expect(findNvcc(libtorch, { PATH: '/nowhere' })).toEqual({ path: null, reason: 'nvcc is not installed' });
  });
});

describe('devices and memory', () => {
  test('the CPU is always there, with its name and memory', () => {
    const devices = listDevices();
    expect(devices.at(-1)).toMatchObject({ id: 'cpu', name: expect.stringMatching(/\w/), memory: expect.any(Number) });
    expect(devices).toHaveLength(native().cuda().devices.length + 1);
  });

  test('the CPU has no statistics, and nothing to empty', async () => {
    expect(await memoryStatistics('cpu')).toBeNull();
    expect(await emptyCache('cpu')).toBeUndefined();
    expect(await resetPeakMemory('cpu')).toBeUndefined();
  });

  where(!native().cuda().available, 'there is a CUDA device')('a device that is not there is refused', async () => {
    await expect(memoryStatistics('cuda:0')).rejects.toMatchObject({ code: 'DEVICE_UNAVAILABLE' });
    await expect(emptyCache('cuda')).rejects.toMatchObject({ code: 'DEVICE_UNAVAILABLE' });
  });
});

describe('a pipeline', () => {
  let pipeline: Pipeline;
  beforeAll(async () => {
    pipeline = await loadPipeline('embedded', { device: 'cpu' });
  });
  afterAll(() => pipeline.dispose());
  const options = { classLabel: 'Coat', seed: 3, numInferenceSteps: 4 };

  test('says what is fused and how it ran', async () => {
    expect(pipeline.fused).toEqual([
      ...(hasOwnFloat32() ? [{ kind: 'attention', count: 8 }] : []),
      { kind: 'modulation', count: 17 },
      { kind: 'pack', count: 44 },
      { kind: 'residual', count: 16 },
    ]);
    expect(await pipeline.memory()).toBeNull();
    const { execution } = await pipeline.generate(options);
    expect(execution).toEqual({
      partialForward: { shared: true, cuts: ['blocks.5'], reason: null },
      graphs: { captured: 0, replayed: 0, reason: null },
      fused: pipeline.fused,
      notFused: null,
      quantized: null,
      offload: null,
    });
  });

  test('gives the same without fusing, and with some of it', async () => {
    const expected = await pipeline.generate(options);
    for (const fuse of [
      false as const,
      ['residual' as const],
      ['modulation' as const, 'gelu' as const, 'update' as const],
    ]) {
      await using other = await loadPipeline('embedded', { device: 'cpu', fuse });
      expect(other.fused.map(({ kind }) => kind)).toEqual(
        fuse === false ? [] : [...fuse].filter((kind) => kind !== 'update').sort(),
      );
      const found = await other.generate(options);
      expect(found.execution.notFused).toBeNull();
      const wanted = [...(expected.latents.data as Float32Array)];
      const difference = Math.max(...wanted.map((value, at) => Math.abs(value - Number(found.latents.data[at]))));
      expect(difference).toBeLessThan(1e-5);
    }
    await expect(loadPipeline('embedded', { fuse: ['everything' as never] })).rejects.toMatchObject({
      code: 'BAD_OPTION',
    });
  });
});
