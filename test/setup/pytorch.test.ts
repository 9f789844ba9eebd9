/** Which build of PyTorch set-up takes: pip itself decides, on an index of two small wheels that only look like PyTorch. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { root } from '../../setup/cache.cjs';
import { findPython } from '../../setup/python.cjs';

/** A wheel: files of a package and what pip wants to know about it. */
const makeWheel = `
import sys, zipfile
folder, name, version, files = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
info = f'{name}-{version}.dist-info'
with zipfile.ZipFile(f'{folder}/{name}-{version}-py3-none-any.whl', 'w') as wheel:
    for file in files:
        path, _, text = file.partition('=')
        wheel.writestr(path, text)
    wheel.writestr(f'{info}/METADATA', f'Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n')
    wheel.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr(f'{info}/RECORD', '')
`;

const python = findPython();
const suite = python.path && !python.reason && process.platform === 'linux' ? describe : describe.skip;

suite('PyTorch from a package index', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pytorch-'));
  const wheels = mkdtempSync(join(folder, 'wheels-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function wheel(name: string, version: string, files: string[] = []): void {
    writeFileSync(join(folder, 'wheel.py'), makeWheel);
    const { status, stderr } = spawnSync('python3', [join(folder, 'wheel.py'), wheels, name, version, ...files], {
      encoding: 'utf8',
    });
    expect([status, stderr]).toEqual([0, '']);
  }

  const torch = (version: string, cuda: string) => [
    `torch/version.py=__version__ = '${version}'\ncuda = ${cuda}\n`,
    ...['torch', 'torch_cpu', 'c10'].map((name) => `torch/lib/lib${name}.so=`),
    'torch/include/torch/script.h=',
  ];

  function runSetup(code: string, env: NodeJS.ProcessEnv = {}) {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', code], {
      cwd: root,
      encoding: 'utf8',
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        DETAIL_GUIDANCE_CACHE: join(folder, 'cache with ü'),
        LIBTORCH_USE_PYTORCH: '0',
        PIP_NO_INDEX: '1',
        PIP_FIND_LINKS: wheels,
        PIP_CONFIG_FILE: '/dev/null',
        ...env,
      },
    });
    return { status, stdout, stderr };
  }

  const choose = `require('./setup/pytorch.cjs').choosePyTorch().then((it) => console.log(JSON.stringify(it)))`;
  const ensure = `require('./setup/pytorch.cjs').ensureLibtorch().then((it) => console.log(JSON.stringify(it)),
    (e) => { console.error(e.message); process.exit(1) })`;
  const plan = `const { planSetup, describePlan } = require('./setup/setup.cjs');
    planSetup().then((it) => console.log(describePlan(it).join('\\n')),
    (e) => { console.error(e.message); process.exit(1) })`;

  beforeAll(() => {
    wheel('torch', '2.11.0', torch('2.11.0+cu130', "'13.0'"));
    wheel('numpy', '2.0.0');
  });

  test('an index without a CPU build: the CUDA build, and why', () => {
    const { stdout } = runSetup(choose, { DETAIL_GUIDANCE_TORCH_BUILD: 'cpu' });
    expect(JSON.parse(stdout)).toMatchObject({
      requirement: 'torch==2.11.0',
      build: 'cuda',
      reason: expect.stringContaining('the package index offers no CPU build'),
    });
  }, 120_000);

  test('an index that has one: the CPU build, unless the CUDA build was asked for', () => {
    wheel('torch', '2.11.0+cpu', torch('2.11.0+cpu', 'None'));
    const { stdout } = runSetup(choose, { DETAIL_GUIDANCE_TORCH_BUILD: 'cpu' });
    expect(JSON.parse(stdout)).toMatchObject({ requirement: 'torch==2.11.0+cpu', build: 'cpu' });
    const other = runSetup(choose, { DETAIL_GUIDANCE_TORCH_BUILD: 'cuda' });
    expect(JSON.parse(other.stdout)).toMatchObject({ requirement: 'torch==2.11.0', build: 'cuda' });
    expect(runSetup(choose, { DETAIL_GUIDANCE_TORCH_BUILD: 'gpu' }).stderr).toContain(
      'expected cpu or cuda, received gpu',
    );
  }, 120_000);

  test('the plan says what will be fetched and how large it is, and fetches nothing', () => {
    const { stdout } = runSetup(plan, { DETAIL_GUIDANCE_TORCH_BUILD: 'cpu' });
    expect(stdout).toContain('libtorch is missing');
    expect(stdout).toContain('PyTorch, CPU build (libtorch comes with it): about 0.2 GB, 0.9 GB on disk');
    expect(runSetup(`console.log(require('./setup/libtorch.cjs').searchLibtorch().libtorch)`).stdout).toBe('null\n');
  }, 120_000);

  test('it is installed from there, says which build it is and why, and is the libtorch that is found', () => {
    const { status, stdout, stderr } = runSetup(ensure, { DETAIL_GUIDANCE_TORCH_BUILD: 'cpu' });
    expect(stderr).toContain('the CPU build of PyTorch: DETAIL_GUIDANCE_TORCH_BUILD=cpu');
    expect(JSON.parse(stdout)).toMatchObject({ version: '2.11.0', cuda: null });
    expect(status).toBe(0);
  }, 120_000);

  /** Asks an index of its own address, instead of the wheels above. */
  const askIndex = (address: string, env: NodeJS.ProcessEnv = {}) =>
    runSetup(plan, {
      DETAIL_GUIDANCE_TORCH_BUILD: 'cpu',
      DETAIL_GUIDANCE_CACHE: join(folder, 'asks'),
      PIP_NO_INDEX: undefined,
      PIP_FIND_LINKS: undefined,
      PIP_INDEX_URL: `${address}/simple`,
      NO_PROXY: '127.0.0.1',
      ...env,
    });

  test('an index that takes the connection and never answers: one error, with what pip saw', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    // This process waits for set-up, and so answers nobody; the system takes the connection.
    const { status, stderr } = askIndex(`http://127.0.0.1:${port}`, { PIP_DEFAULT_TIMEOUT: '1' });
    server.close();
    expect(stderr).toContain('> whether the package index has torch==2.11.0+cpu\n');
    expect(stderr).toContain('The package index of pip does not answer.');
    expect(stderr).toMatch(/Read timed out/);
    expect(stderr).toContain('PIP_INDEX_URL');
    expect(status).toBe(1);
  }, 120_000);

  test('an index that refuses the connection, and a proxy that is not there: the same', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await new Promise((closed) => server.close(closed));
    const nowhere = `http://127.0.0.1:${port}`;
    for (const { status, stderr } of [
      askIndex(nowhere),
      askIndex('http://index.invalid', {
        PIP_TRUSTED_HOST: 'index.invalid',
        HTTP_PROXY: nowhere,
        http_proxy: nowhere,
      }),
    ]) {
      expect(stderr).toContain('The package index of pip does not answer.');
      expect(stderr).toMatch(/Connection refused/);
      expect(status).toBe(1);
    }
  }, 120_000);

  test('an index that has no PyTorch at all: no larger build is offered in its place, and pip’s words', () => {
    // pip ignores one that is asked over plain http.
    const { status, stdout, stderr } = askIndex('http://index.invalid');
    expect(stderr).toMatch(/The package index of pip has no PyTorch for this machine and Python 3\./);
    expect(stderr).toContain('not a trusted or secure host');
    expect([status, stdout]).toEqual([1, '']);
  }, 120_000);

  test('an index that pip does not reach: one error, with every way out', () => {
    const { status, stderr } = runSetup(ensure, {
      DETAIL_GUIDANCE_CACHE: join(folder, 'second'),
      DETAIL_GUIDANCE_TORCH_BUILD: 'cuda',
      PIP_FIND_LINKS: join(folder, 'nowhere'),
    });
    expect(status).toBe(1);
    expect(stderr).toContain('check that pip reaches a package index');
    expect(stderr).toContain('LIBTORCH=/path/to/libtorch');
  }, 120_000);
});
