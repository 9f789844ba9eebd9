/** An application bundled with esbuild and with Vite: the package external, and inside the bundle. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { build, type BuildOptions, type Format } from 'esbuild';

import { Application, picture } from './application';

let application: Application;
beforeAll(async () => {
  application = await Application.install();
  await application.write('app.mjs', `import { loadPipeline } from 'detail-guidance';${picture}`);
  await application.write(
    'app.async.mjs',
    `import { loadPipeline } from 'detail-guidance'; (async () => {${picture}})().catch((error) => {
       console.log(error.code, error.message); });`,
  );
}, 60_000);
afterAll(() => application.remove());

const bundle = (outfile: string, format: Format, options: BuildOptions = {}) =>
  build({
    absWorkingDir: application.folder,
    entryPoints: ['app.async.mjs'],
    outfile,
    bundle: true,
    platform: 'node',
    format,
    logLevel: 'silent',
    ...options,
  });
const works = { code: 0, stderr: '', stdout: expect.stringMatching(/^[0-9a-f]{64}\n$/) };

describe.each([
  ['esm', 'mjs'],
  ['cjs', 'cjs'],
] as const)('esbuild, %s', (format, suffix) => {
  test('the package external', async () => {
    await bundle(`out/external.${suffix}`, format, { external: ['detail-guidance'] });
    expect(await application.node([`out/external.${suffix}`])).toEqual(works);
  }, 60_000);

  test('inside the bundle, with the package in node_modules', async () => {
    // CommonJS packages in an ESM bundle need a require, whoever's they are.
    const banner = format === 'esm' ? { js: requireBanner } : undefined;
    await bundle(`out/inside.${suffix}`, format, { banner });
    expect(await application.node([`out/inside.${suffix}`])).toEqual(works);
  }, 60_000);

  test('inside the bundle, without it: one error that says what to mark external', async () => {
    const banner = format === 'esm' ? { js: requireBanner } : undefined;
    await bundle(`out/alone.${suffix}`, format, { banner });
    const elsewhere = await mkdtemp(join(tmpdir(), 'bundle-'));
    try {
      await cp(join(application.folder, `out/alone.${suffix}`), join(elsewhere, `alone.${suffix}`));
      const { stdout } = await application.node([join(elsewhere, `alone.${suffix}`)]);
      expect(stdout).toMatch(/^ADDON_NOT_BUILT detail-guidance was bundled into .*mark 'detail-guidance' as external/);
    } finally {
      await rm(elsewhere, { recursive: true });
    }
  }, 60_000);
});

const requireBanner = `import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);`;

test('Vite, as it builds for Node', async () => {
  const vite = pathToFileURL(require.resolve('vite')).href;
  const { code, stderr } = await application.node([
    '--input-type=module',
    '-e',
    `const { build } = await import(${JSON.stringify(vite)});
     await build({ root: process.cwd(), configFile: false, logLevel: 'error',
       build: { ssr: 'app.mjs', outDir: 'out/vite', target: 'node20' } });`,
  ]);
  expect([code, stderr]).toEqual([0, '']);
  expect(await application.node(['out/vite/app.js'])).toEqual(works);
}, 120_000);
