/** Promises of the repository's own files. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

import { expect, test } from '@jest/globals';

import { root } from '../../setup/cache.cjs';

const read = (file: string) => readFileSync(join(root, file), 'utf8');
const manifest = JSON.parse(read('package.json'));

test('the lock file names no registry host, so that it installs from any', () => {
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, { resolved?: string }> };
  expect(Object.values(packages).filter(({ resolved }) => resolved !== undefined)).toEqual([]);
});

test('the lock file is that of package.json', () => {
  const { packages } = JSON.parse(read('package-lock.json'));
  expect(packages[''].dependencies).toEqual(manifest.dependencies);
  expect(packages[''].devDependencies).toEqual(manifest.devDependencies);
  expect(packages[''].version).toBe(manifest.version);
});

test('binding.gyp delegates to the CMake build', () => {
  // gyp files are Python literals.
  const gyp = read('binding.gyp').replace(/#.*$/gm, '');
  const [target] = JSON.parse(gyp).targets;
  expect(target.type).toBe('none');
  expect(target.actions[0].action).toEqual(['node', '<(module_root_dir)/setup/build.cjs']);
});

test('the package holds what a build on the user side needs, and no tests', () => {
  const listed = execFileSync(process.execPath, [npm(), 'pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const files: string[] = Object.values<{ files: { path: string }[] }>(JSON.parse(listed))
    .flatMap(({ files }) => files)
    .map(({ path }) => path);
  for (const file of [
    'CMakeLists.txt',
    'binding.gyp',
    'setup/build.cjs',
    'setup/install.cjs',
    'models/embedded/bundle.json',
    'models/export/__main__.py',
    'models/export/requirements.txt',
    'LICENSE',
  ]) {
    expect(files).toContain(file);
  }
  expect(files.filter((file) => /^(test|build|scripts|node_modules)\/|__pycache__/.test(file))).toEqual([]);
  // The exporter and the embedded model, no training.
  const models = files.filter((file) => /^models\/(?!export\/|embedded\/)/.test(file));
  expect(models.sort()).toEqual(['models/README.md', 'models/__init__.py']);
  // What its guides refer to is there too.
  const guides = files.filter((file) => /^(README|CONTRIBUTING|docs\/.*)\.md$/.test(file));
  expect(guides).toContain('docs/install.md');
  for (const guide of [...guides, 'README.md']) {
    for (const [, link = ''] of read(guide).matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      const target = posix.normalize(posix.join(posix.dirname(guide), link)).replace(/\/$/, '');
      expect([guide, target, files.some((file) => `${file}/`.startsWith(`${target}/`))]).toEqual([guide, target, true]);
    }
  }
});

/** npm's own program: the one that runs this, or the one beside node. */
function npm(): string {
  return (
    process.env.npm_execpath ??
    execFileSync('sh', ['-c', 'readlink -f "$(command -v npm)"'], { encoding: 'utf8' }).trim()
  );
}
