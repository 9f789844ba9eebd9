/** The finder of libtorch on fake trees: what is accepted, what is refused and with which reason, in which order. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { findLibtorch, inspect, libraryFile, privateEnvironment, searchLibtorch } from '../../setup/libtorch.cjs';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'libtorch-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(file: string, text = ''): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

interface FakeTree {
  libraries?: string[];
  version?: string | null;
  header?: boolean;
}

/** A libtorch as an archive unpacks it, with empty libraries. */
function fakeLibtorch(place: string, { libraries = [], version = '2.11.0+cpu', header = true }: FakeTree = {}): string {
  for (const name of ['torch', 'torch_cpu', 'c10', ...libraries]) write(join(place, 'lib', libraryFile(name)));
  if (header) write(join(place, 'include/torch/script.h'));
  if (version !== null) write(join(place, 'build-version'), `${version}\n`);
  return place;
}

/** A private environment as pip leaves it. */
function fakeEnvironment(cache: string, { complete = true } = {}): string {
  const packages = join(privateEnvironment({ DETAIL_GUIDANCE_CACHE: cache }), 'lib/python3.11/site-packages');
  fakeLibtorch(join(packages, 'torch'), { version: null, libraries: ['torch_cuda', 'c10_cuda'] });
  write(join(packages, 'torch/version.py'), "__version__ = '2.11.0+cu130'\ncuda: Optional[str] = '13.0'\n");
  write(join(packages, 'nvidia/cu13/include/cuda_runtime_api.h'));
  write(join(packages, 'torch-2.11.0.dist-info/RECORD'));
  if (complete) write(join(packages, 'torch-2.11.0.dist-info/INSTALLER'), 'pip');
  return join(packages, 'torch');
}

describe('one folder', () => {
  test('a CPU build', () => {
    expect(inspect(fakeLibtorch(folder)).libtorch).toMatchObject({ version: '2.11.0', cuda: null, cudaInclude: null });
  });

  test('a CUDA build of an archive', () => {
    const tree = fakeLibtorch(folder, { version: '2.15.0+cu132', libraries: ['torch_cuda', 'c10_cuda'] });
    expect(inspect(tree).libtorch).toMatchObject({ version: '2.15.0', cuda: '13.2' });
  });

  test('a CUDA build of a wheel, with the CUDA headers beside it', () => {
    const torch = fakeEnvironment(folder);
    expect(inspect(torch).libtorch).toMatchObject({
      version: '2.11.0',
      cuda: '13.0',
      cudaInclude: join(dirname(torch), 'nvidia/cu13/include'),
    });
  });

  test('the version of a distribution that only has headers', () => {
    fakeLibtorch(folder, { version: null });
    const lines = ['MAJOR 2', 'MINOR 12', 'PATCH 1'].map((part) => `#define TORCH_VERSION_${part}`);
    write(join(folder, 'include/torch/headeronly/version.h'), lines.join('\n'));
    expect(inspect(folder).libtorch?.version).toBe('2.12.1');
  });

  test.each(['1.13.1', '2.10.0', '2.16.0', '3.11.0'])('version %s is refused', (version) => {
    expect(inspect(fakeLibtorch(folder, { version })).reason).toBe(`version ${version} is outside 2.11 to 2.15`);
  });

  test('an unreadable version is refused', () => {
    expect(inspect(fakeLibtorch(folder, { version: null })).reason).toContain('version cannot be read');
  });

  test('a missing library is named', () => {
    fakeLibtorch(folder);
    rmSync(join(folder, 'lib', libraryFile('c10')));
    expect(inspect(folder).reason).toBe(`${join(folder, 'lib', libraryFile('c10'))} is missing`);
  });

  test('headers are needed for a build only', () => {
    fakeLibtorch(folder, { header: false });
    expect(inspect(folder).reason).toContain('script.h is missing');
    expect(inspect(folder, { headers: false }).libtorch?.version).toBe('2.11.0');
  });

  test('a folder that is not there', () => {
    expect(inspect(join(folder, 'nowhere')).reason).toBe('there is no such folder');
  });
});

describe('the order of the search', () => {
  const isolated = () => ({ DETAIL_GUIDANCE_CACHE: join(folder, 'cache'), LIBTORCH_USE_PYTORCH: '0' });

  test('LIBTORCH comes before the cache', () => {
    fakeEnvironment(join(folder, 'cache'));
    const tree = fakeLibtorch(join(folder, 'own'));
    expect(searchLibtorch({ env: { ...isolated(), LIBTORCH: tree } }).libtorch?.path).toBe(tree);
  });

  test('LIBTORCH that is refused hides nothing: the search ends there', () => {
    fakeEnvironment(join(folder, 'cache'));
    const tree = fakeLibtorch(join(folder, 'own'), { version: '1.13.1' });
    const { libtorch, candidates } = searchLibtorch({ env: { ...isolated(), LIBTORCH: tree } });
    expect(libtorch).toBeNull();
    expect(candidates).toEqual([
      { source: 'LIBTORCH', path: tree, accepted: false, reason: 'version 1.13.1 is outside 2.11 to 2.15' },
    ]);
  });

  test('LIBTORCH_INCLUDE and LIBTORCH_LIB where headers and libraries lie apart', () => {
    fakeLibtorch(join(folder, 'libraries'), { header: false });
    write(join(folder, 'headers/include/torch/script.h'));
    const env = {
      ...isolated(),
      LIBTORCH_LIB: join(folder, 'libraries'),
      LIBTORCH_INCLUDE: join(folder, 'headers'),
    };
    expect(searchLibtorch({ env }).libtorch).toMatchObject({
      include: join(folder, 'headers/include'),
      lib: join(folder, 'libraries/lib'),
    });
  });

  test('the cache is last', () => {
    const torch = fakeEnvironment(join(folder, 'cache'));
    expect(searchLibtorch({ env: isolated() }).libtorch?.path).toBe(torch);
  });

  test('an interrupted installation in the cache is not taken', () => {
    fakeEnvironment(join(folder, 'cache'), { complete: false });
    const { libtorch, candidates } = searchLibtorch({ env: isolated() });
    expect(libtorch).toBeNull();
    expect(candidates[0]?.reason).toContain('interrupted');
  });

  test('another version than the one asked for is refused with both', () => {
    const LIBTORCH = fakeLibtorch(join(folder, 'own'), { version: '2.12.0' });
    const { libtorch, candidates } = searchLibtorch({ env: { LIBTORCH }, version: '2.11.0' });
    expect(libtorch).toBeNull();
    expect(candidates[0]?.reason).toBe('version 2.12.0, and the addon was built for 2.11.0');
  });

  test('nothing found: one error with every way out', () => {
    const find = () => findLibtorch({ env: isolated() });
    expect(find).toThrow(expect.objectContaining({ code: 'SETUP_FAILED' }));
    for (const way of [
      'LIBTORCH=',
      'LIBTORCH_USE_PYTORCH=1',
      'python3-venv',
      'DETAIL_GUIDANCE_CACHE',
      'CPU build',
      '6 GB',
    ]) {
      expect(find).toThrow(way);
    }
    expect(find).toThrow('nothing is installed there yet');
  });
});
