/** package.json and the declarations against what publint and are-the-types-wrong know of packages. */
import { readFile } from 'node:fs/promises';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { Application } from './application';

let application: Application;
beforeAll(async () => {
  application = await Application.install();
}, 60_000);
afterAll(() => application.remove());

// Both are ES modules that jest would have to transform; Node runs them as they are.
const inNode = (program: string, ...args: string[]) =>
  application.node(['--input-type=module', '-e', program, ...args]);
const tool = (name: string) => JSON.stringify(require.resolve(name).replace(/^/, 'file://'));

test('publint has nothing to say', async () => {
  const { stdout, stderr } = await inNode(
    `const { publint } = await import(${tool('publint')});
     const { messages } = await publint({ pkgDir: process.argv[1], strict: true, pack: false });
     console.log(JSON.stringify(messages));`,
    application.installed,
  );
  expect([JSON.parse(stdout), stderr]).toEqual([[], '']);
}, 60_000);

test('every entry resolves with types of its own format, from node16 (ESM and CommonJS) and from bundlers', async () => {
  const { stdout, stderr } = await inNode(
    `const { checkPackage, createPackageFromTarballData } = await import(${tool('@arethetypeswrong/core')});
     const { readFile } = await import('node:fs/promises');
     const tarball = createPackageFromTarballData(new Uint8Array(await readFile(process.argv[1])));
     const { problems, entrypoints } = await checkPackage(tarball);
     console.log(JSON.stringify({ problems, entrypoints: Object.keys(entrypoints) }));`,
    application.tarball,
  );
  expect(stderr).toBe('');
  const { problems, entrypoints } = JSON.parse(stdout) as {
    problems: { resolutionKind?: string }[];
    entrypoints: string[];
  };
  const manifest = JSON.parse(await readFile(`${application.installed}/package.json`, 'utf8')) as {
    exports: Record<string, unknown>;
  };
  expect(entrypoints).toEqual(Object.keys(manifest.exports));
  // TypeScript's node10 knows no subpath exports; it is not among the resolutions that are supported.
  expect(problems.filter(({ resolutionKind }) => resolutionKind !== 'node10')).toEqual([]);
}, 120_000);
