/** The native build is configured without CUDA's headers and compiler as it is with them. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { readBuild } from '../../lib/native';
import { packageRoot } from '../../lib/files/packageRoot';
import { buildFolder } from '../../setup/cache.cjs';

const { info } = readBuild();
const folder = mkdtempSync(join(tmpdir(), 'detail-guidance-configure-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A value of the cache of the build that is there. */
function cached(name: string): string {
  const file = join(buildFolder(), 'cmake', 'CMakeCache.txt');
  if (!existsSync(file)) return '';
  return new RegExp(`^${name}:\\w+=(.*)$`, 'm').exec(readFileSync(file, 'utf8'))?.[1] ?? '';
}

function configure(name: string, settings: Record<string, string>) {
  const out = join(folder, name);
  const same = ['TORCH_DIR', 'TORCH_INCLUDE', 'TORCH_LIB', 'CMAKE_MAKE_PROGRAM', 'CMAKE_CXX_COMPILER'];
  // Each file alone, so that it has a command of its own.
  const given = {
    DETAIL_GUIDANCE_TOGETHER: '1',
    ...Object.fromEntries(same.map((each) => [each, cached(each)])),
    ...settings,
  };
  const { status, stdout, stderr } = spawnSync(
    cached('CMAKE_COMMAND'),
    ['-S', packageRoot(), '-B', out, '-G', cached('CMAKE_GENERATOR')].concat(
      Object.entries(given).map(([key, value]) => `-D${key}=${value}`),
    ),
    { encoding: 'utf8' },
  );
  expect(`${status} ${status === 0 ? '' : stderr}`).toBe('0 ');
  const commands = JSON.parse(readFileSync(join(out, 'compile_commands.json'), 'utf8')) as {
    file: string;
    command: string;
  }[];
  const ofCuda = commands.filter(({ file }) => file.includes('/native/cuda/'));
  return { stdout, commands: ofCuda };
}

const suite = info.cuda && cached('CMAKE_COMMAND') !== '' ? describe : describe.skip;

suite('a libtorch with CUDA', () => {
  let bare: ReturnType<typeof configure>;
  beforeAll(() => {
    bare = configure('bare', { CUDA_INCLUDE: '', NVCC: '', NVCC_REASON: 'nobody gave one' });
  }, 60_000);

  test('without headers and nvcc: no kernels, with the reason, and every file is compiled all the same', () => {
    expect(bare.stdout).toMatch(/CUDA kernels: none, nobody gave one/);
    expect(bare.commands.length).toBeGreaterThanOrEqual(4);
    for (const { command } of bare.commands) {
      expect(command).not.toMatch(/DETAIL_GUIDANCE_CUDA_(HEADERS|KERNELS)/);
    }
  });

  test('with headers and without nvcc: graphs and memory, and no kernels', () => {
    const { stdout, commands } = configure('headers', { CUDA_INCLUDE: cached('CUDA_INCLUDE'), NVCC: '' });
    expect(stdout).toMatch(/CUDA kernels: none, NVCC was not given/);
    for (const { command } of commands) {
      expect(command).toMatch(/DETAIL_GUIDANCE_CUDA_HEADERS/);
      expect(command).not.toMatch(/DETAIL_GUIDANCE_CUDA_KERNELS/);
    }
  });

  test('an nvcc without headers beside libtorch is not used, with the reason', () => {
    const { stdout } = configure('nvcc', { CUDA_INCLUDE: '', NVCC: '/bin/true' });
    expect(stdout).toMatch(/CUDA kernels: none, there are no CUDA headers beside this libtorch/);
  });
});
