/** The packed package from ESM, CommonJS and TypeScript, in a folder whose name has spaces and other letters. */
import { execFileSync } from 'node:child_process';
import { cp, mkdir, realpath, symlink } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { prebuiltFolder } from '../../setup/addon.cjs';
import { buildFolder, root } from '../../setup/cache.cjs';
import { findLibtorch, PINNED, PINNED_CUDA } from '../../setup/libtorch.cjs';

import { Application, picture } from './application';

let application: Application;
beforeAll(async () => {
  application = await Application.install('an “application” für alle');
}, 60_000);
afterAll(() => application.remove());

const sha256 = /^[0-9a-f]{64}\n$/;

test('ESM, CommonJS and the command line: the same picture', async () => {
  await application.write('esm.mjs', `import { loadPipeline } from 'detail-guidance';${picture}`);
  await application.write(
    'common.cjs',
    `const { loadPipeline } = require('detail-guidance'); (async () => {${picture}})();`,
  );
  const esm = await application.node(['esm.mjs']);
  expect(esm).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(sha256) });
  expect(await application.node(['common.cjs'])).toEqual(esm);
  const shell = await application.node([
    join(application.installed, 'dist', 'cli.js'),
    ...['generate', 'embedded', '--device', 'cpu', '--class', '7', '--steps', '2', '--out', 'größe 1.png'],
  ]);
  expect(shell).toMatchObject({ code: 0 });
}, 120_000);

test('code that is in no file: the same package', async () => {
  const code =
    "import('detail-guidance').then(({ loadPipeline }) => loadPipeline('embedded')).then((it) => it.dispose())";
  const inWorker = `new (require('node:worker_threads').Worker)(${JSON.stringify(code)}, { eval: true })`;
  for (const program of [code, inWorker]) {
    expect(await application.node(['-e', program])).toEqual({ code: 0, stderr: '', stdout: '' });
  }
}, 120_000);

test.each(['esm', 'common'])(
  'the server from %s: a picture over HTTP',
  async (format) => {
    const load = "const { createServer } = await import('detail-guidance/server');";
    const use = `
    const server = createServer({ port: 0, logLevel: 'silent', load: { device: 'cpu' } });
    const url = await server.listen();
    const answer = await fetch(url + '/v1/images', { method: 'POST', headers: { 'Content-Type': 'application/json',
      Accept: 'image/png' }, body: JSON.stringify({ classLabel: 7, seed: 7, numInferenceSteps: 2 }) });
    console.log(answer.status, answer.headers.get('content-type'), (await answer.arrayBuffer()).byteLength > 100);
    await server.close();`;
    const file = format === 'esm' ? 'server.mjs' : 'server.cjs';
    await application.write(
      file,
      format === 'esm'
        ? load + use
        : `const { createServer } = require('detail-guidance/server'); (async () => {${use}})();`,
    );
    expect(await application.node([file])).toEqual({ code: 0, stderr: '', stdout: '200 image/png true\n' });
  },
  120_000,
);

test.each(['esm', 'common'])(
  'plots and sheets from %s, without their libraries in node_modules',
  async (format) => {
    const use = `
    const chart = await drawLineChart({ x: 'x', y: 'y', lines: [{ name: 'a', points: [{ x: 0, y: 0 }, { x: 1, y: 1 }] }] });
    const picture = { width: 2, height: 2, channels: 1, pixels: new Uint8Array(4) };
    const sheet = await drawSheet({ title: 't', subtitle: [], columns: [{ title: 'c', detail: [] }],
      rows: [{ label: 'r', images: [[picture]] }], footer: [] });
    console.log(chart.width, encodePng(chart).length > 1000, encodePng(sheet).length > 1000);`;
    const file = format === 'esm' ? 'draw.mjs' : 'draw.cjs';
    const load = (from: (entry: string) => string) =>
      `const { encodePng } = ${from('detail-guidance')};
     const { drawLineChart, drawSheet } = ${from('detail-guidance/evaluation')};`;
    await application.write(
      file,
      format === 'esm'
        ? load((entry) => `await import('${entry}')`) + use
        : `${load((entry) => `require('${entry}')`)} (async () => {${use}})();`,
    );
    expect(await application.node([file])).toEqual({ code: 0, stderr: '', stdout: '1440 true true\n' });
  },
  60_000,
);

test('the root and the entries beside it load no more packages than they need', async () => {
  const loaded = async (entry: string) => {
    const { stdout } = await application.node([
      '-e',
      `require(${JSON.stringify(entry)});
       const names = Object.keys(require.cache).map((file) => /.*node_modules.((?:@[^/]+.)?[^/]+)/.exec(file)?.[1]);
       console.log(JSON.stringify([...new Set(names)]));`,
    ]);
    return JSON.parse(stdout) as string[];
  };
  const heavy = ['hono', '@hono/node-server', 'pino', 'prom-client', 'commander', 'cli-progress', 'linkedom'];
  const drawing = ['@observablehq/plot', '@resvg/resvg-wasm', 'dejavu-fonts-ttf', 'ml-matrix', 'fft.js'];
  const root = await loaded('detail-guidance');
  expect(root).toContain('detail-guidance');
  expect(root.filter((name) => [...heavy, ...drawing].includes(name))).toEqual([]);
  const server = await loaded('detail-guidance/server');
  expect(server).toContain('hono');
  expect(server.filter((name) => ['linkedom', ...drawing].includes(name))).toEqual([]);
}, 60_000);

/** Lays this repository's addon where the published package has those that are prebuilt. */
async function layPrebuilt(): Promise<string> {
  const folder = prebuiltFolder(findLibtorch()).replace(root, application.installed);
  await cp(await realpath(join(buildFolder(), 'Release')), folder, { recursive: true });
  return folder;
}

test('a prebuilt addon is taken where it fits the libtorch of the machine', async () => {
  const folder = await layPrebuilt();
  const { stdout, stderr, code } = await application.node(['esm.mjs'], { DETAIL_GUIDANCE_BUILD: '' });
  expect([code, stderr, stdout]).toEqual([0, '', expect.stringMatching(sha256)]);
  const dryRun = await application.node([join(application.installed, 'dist', 'cli.js'), 'setup', '--dry-run'], {
    DETAIL_GUIDANCE_BUILD: '',
  });
  expect(dryRun.stderr).toContain(`a prebuilt addon fits: ${folder}\nNothing has to be downloaded.`);
  // Set-up then has nothing to do, and leaves nothing.
  const setup = await application.node([join(application.installed, 'dist', 'cli.js'), 'setup'], {
    DETAIL_GUIDANCE_BUILD: '',
  });
  expect(setup).toMatchObject({ code: 0, stderr: expect.stringContaining('The addon is ready') });
  // Without a libtorch for it the error says which were looked at.
  const without = await application.node(['esm.mjs'], { DETAIL_GUIDANCE_BUILD: '', LIBTORCH: '/nowhere' });
  expect(without.stderr).toMatch(/not built .*waits for a libtorch: LIBTORCH \(\/nowhere\): there is no such folder\)/);
}, 120_000);

test('where the prebuilt addon will fit the libtorch that is to be fetched, no compiler is asked for', async () => {
  const coming = prebuiltFolder({ version: PINNED, cuda: PINNED_CUDA }).replace(root, application.installed);
  await cp(await realpath(join(buildFolder(), 'Release')), coming, { recursive: true });
  const { code, stderr } = await application.node(
    [join(application.installed, 'dist', 'cli.js'), 'setup', '--dry-run'],
    {
      DETAIL_GUIDANCE_BUILD: '',
      DETAIL_GUIDANCE_CACHE: join(application.folder, 'empty'),
      DETAIL_GUIDANCE_TORCH_BUILD: 'cuda',
      LIBTORCH_USE_PYTORCH: '0',
      CXX: 'no-such-compiler',
    },
  );
  expect(stderr).toContain(`libtorch is missing\na prebuilt addon fits: ${coming}\n`);
  expect(stderr.match(/^ {2}- .*/gm)).toEqual([expect.stringContaining('PyTorch, CUDA build')]);
  expect(code).toBe(0);
}, 60_000);

test('a prebuilt addon serves a user without a home folder', async () => {
  await layPrebuilt();
  const homeless = { HOME: 'nowhere', XDG_CACHE_HOME: '', DETAIL_GUIDANCE_CACHE: '', DETAIL_GUIDANCE_BUILD: '' };
  const args = [join(application.installed, 'dist', 'cli.js'), 'setup'];
  const { code, stderr } = await application.node(args, { ...homeless, LIBTORCH: findLibtorch().path });
  expect([code, stderr]).toEqual([0, expect.stringContaining('The addon is ready')]);
}, 60_000);

test.each([
  ['node16', 'node16'],
  ['nodenext', 'nodenext'],
  ['esnext', 'bundler'],
])(
  'TypeScript with module %s, moduleResolution %s',
  async (module, moduleResolution) => {
    const use = `
    async function main(): Promise<number> {
      const pipeline: Pipeline = await loadPipeline('embedded');
      const { images } = await pipeline.generate({ classLabel: 1, guidance: { detail: { scale: 0.3 } } });
      // @ts-expect-error no such option
      await pipeline.generate({ clasLabel: 1 });
      return images[0]!.width;
    }
    void main();`;
    await application.write('use.mts', `import { loadPipeline, type Pipeline } from 'detail-guidance';${use}`);
    await application.write(
      'use.cts',
      module === 'esnext'
        ? ''
        : `import dg = require('detail-guidance'); import loadPipeline = dg.loadPipeline; type Pipeline = dg.Pipeline;${use}`,
    );
    const types = join(application.folder, 'node_modules', '@types');
    await mkdir(types, { recursive: true });
    await symlink(join(root, 'node_modules', '@types', 'node'), join(types, 'node'), 'dir').catch(() => undefined);
    await application.write(
      'tsconfig.json',
      JSON.stringify({
        compilerOptions: { module, moduleResolution, target: 'es2022', strict: true, noEmit: true, skipLibCheck: true },
        include: ['use.*'],
      }),
    );
    const compile = () => {
      try {
        execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc')], {
          cwd: application.folder,
          encoding: 'utf8',
        });
        return '';
      } catch (error) {
        return (error as { stdout: string }).stdout;
      }
    };
    expect(compile()).toBe('');
  },
  120_000,
);
