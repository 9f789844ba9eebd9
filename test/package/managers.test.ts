/** The tarball installed by npm, pnpm and both Yarns, from a registry, with the install scripts that each of them allows. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { findManagers } from '../../scripts/runtimes.cjs';
import { buildFolder } from '../../setup/cache.cjs';

import { npm, pack, picture } from './application';

const { managers, reason } = findManagers();
if (reason) process.stderr.write(`- package managers: skipped, ${reason}\n`);

(managers ? describe : describe.skip)('installed by', () => {
  let base: string;
  let tarball: string;
  beforeAll(async () => {
    base = await realpath(await mkdtemp(join(tmpdir(), 'managers-')));
    tarball = pack(base);
  }, 60_000);
  afterAll(() => rm(base, { recursive: true, force: true }));

  function run(folder: string, args: string[]): string {
    const env = { ...process.env };
    // Another package manager's, when `npm test` runs this.
    delete env.npm_execpath;
    delete env.NODE_OPTIONS;
    return execFileSync(process.execPath, args, {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...env,
        DETAIL_GUIDANCE_BUILD: buildFolder(),
        YARN_ENABLE_GLOBAL_CACHE: '0',
        YARN_ENABLE_TELEMETRY: '0',
        YARN_ENABLE_IMMUTABLE_INSTALLS: '0',
        YARN_NODE_LINKER: folder.endsWith('pnp') ? 'pnp' : 'node-modules',
      },
    });
  }

  async function project(name: string): Promise<string> {
    const folder = join(base, name);
    await mkdir(folder);
    await writeFile(join(folder, 'package.json'), JSON.stringify({ name, private: true }));
    await writeFile(
      join(folder, 'app.mjs'),
      `import { loadPipeline } from 'detail-guidance';${picture}
       await images[0].save('picture.png');`,
    );
    return folder;
  }

  const sha256 = /^[0-9a-f]{64}\n$/;
  const plain = ['app.mjs'];

  test.each([
    ['npm', () => [npm(), 'install', '--no-audit', '--no-fund', tarball], plain],
    ['pnpm', () => [managers!.pnpm, 'add', tarball], plain],
    ['yarn', () => [managers!.yarn, 'add', '--no-lockfile', `file:${tarball}`], plain],
    ['yarn 4', () => [managers!.berry, 'add', `detail-guidance@file:${tarball}`], plain],
    [
      'yarn 4 pnp',
      () => [managers!.berry, 'add', `detail-guidance@file:${tarball}`],
      ['--require', './.pnp.cjs', '--experimental-loader', './.pnp.loader.mjs', 'app.mjs'],
    ],
  ])(
    '%s',
    async (name, install, start) => {
      const folder = await project(name);
      // Without a word about it, pnpm ends in ERR_PNPM_IGNORED_BUILDS for any package with an install script.
      if (name === 'pnpm')
        await writeFile(join(folder, 'pnpm-workspace.yaml'), 'allowBuilds:\n  detail-guidance: false\n');
      if (name.startsWith('yarn 4')) await writeFile(join(folder, 'yarn.lock'), '');
      run(folder, install());
      expect(run(folder, start)).toMatch(sha256);
      expect(existsSync(join(folder, 'picture.png'))).toBe(true);
      const installed = join(folder, 'node_modules', 'detail-guidance');
      if (!existsSync(installed)) return;
      // Nothing was compiled or fetched into it.
      expect(existsSync(join(installed, 'build'))).toBe(false);
      const { scripts } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as {
        scripts: { install: string };
      };
      expect(scripts.install).toBe('node setup/install.cjs');
    },
    180_000,
  );
});
