/** docs/dependencies.md names every package, with its licence where others get it; the lock file has a checksum of each. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from '@jest/globals';

const root = join(__dirname, '..', '..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string>>;
const lock = JSON.parse(read('package-lock.json')) as {
  packages: Record<string, { license?: string; integrity?: string; link?: boolean; resolved?: string }>;
};

/** `name` → licence, '' where the table has none, of the tables of one section. */
function table(heading: string): Map<string, string> {
  const [, section] = read('docs/dependencies.md').split(`## ${heading}\n`);
  const rows = section!
    .split('\n## ')[0]!
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').map((cell) => cell.trim()));
  return new Map(
    rows.flatMap(([, names, licence, why]) =>
      [...names!.matchAll(/`([^`]+)`/g)].map(([, name]) => [name!, why === '' ? '' : licence!] as const),
    ),
  );
}

const installed = table('Installed with the package');
const bundled = table('Bundled');
const ours = table('Of the repository alone');

test('every package has a reason, and there is none without', () => {
  expect([...installed.keys()].sort()).toEqual(Object.keys(manifest['dependencies']!).sort());
  expect([...bundled.keys(), ...ours.keys()].sort()).toEqual(Object.keys(manifest['devDependencies']!).sort());
  for (const name of Object.keys(manifest['peerDependencies']!)) {
    expect(read('docs/dependencies.md')).toContain(`\`${name}\``);
  }
});

test.each([...installed, ...bundled])('%s: %s', (name, licence) => {
  const stated = lock.packages[`node_modules/${name}`]!.license;
  // Its own words are "see LICENSE".
  expect(name === 'dejavu-fonts-ttf' ? 'Bitstream' : stated).toBe(licence);
});

test('every package of the lock file has its checksum', () => {
  const without = Object.entries(lock.packages).filter(
    ([path, { integrity, link }]) => path.includes('node_modules/') && !link && !integrity,
  );
  expect(without.map(([path]) => path)).toEqual([]);
});

test('every package that pip installs for the exporter has checksums', () => {
  const lines = read('models/export/requirements.lock.txt').replaceAll('\\\n', ' ').split('\n');
  const packages = lines.filter((line) => line !== '' && !line.startsWith('#'));
  expect(packages.length).toBeGreaterThan(20);
  expect(packages.filter((line) => !/^[\w.-]+==\S+.* --hash=sha256:[0-9a-f]{64}/.test(line))).toEqual([]);
  for (const wanted of read('models/export/requirements.txt').matchAll(/^([\w-]+)/gm)) {
    expect(packages.some((line) => line.startsWith(`${wanted[1]}==`))).toBe(true);
  }
});
