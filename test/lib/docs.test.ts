/** The guides against the code: links, error codes, technique names, and the picture in the README. */
import { expect, test } from '@jest/globals';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

import { errorCodes } from '../../lib/validation/errors';
import { guidanceSchema, presetNames } from '../../lib/guidance';
import { decodePng } from '../../lib/image/png';

const root = resolve(__dirname, '..', '..');
const read = (...path: string[]) => readFileSync(join(root, ...path), 'utf8');
const guides = [
  'README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

test.each(guides)('the links of %s lead somewhere', (guide) => {
  for (const [, link] of read(guide).matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
    const [path, anchor] = link!.split('#') as [string, string?];
    const target = path === '' ? join(root, guide) : join(root, dirname(guide), path);
    expect([link, existsSync(target)]).toEqual([link, true]);
    if (anchor === undefined) continue;
    const headings = [...readFileSync(target, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replace(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    );
    expect(headings).toContain(anchor);
  }
});

test.each([...guides, 'CONTRIBUTING.md', 'models/README.md'])('the files that %s names are there', (guide) => {
  const named = [
    ...read(guide).matchAll(/`((?:lib|native|setup|scripts|models|bench|studio|test|examples)\/[\w./-]*)`/g),
  ];
  for (const [, path] of named) expect([path, existsSync(join(root, path!))]).toEqual([path, true]);
});

test('the map has every folder, and every room of lib/', () => {
  const map = read('docs', 'architecture.md');
  const folders = (place: string) =>
    readdirSync(join(root, place), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const code = ['lib', 'native', 'models', 'setup', 'scripts', 'studio', 'bench', 'examples', 'test'];
  for (const folder of code.filter((name) => name !== 'native')) expect(map).toContain(`| \`${folder}/\``);
  for (const { name } of folders('native')) expect(map).toContain(`\`native/${name}/\``);
  for (const { name } of folders('lib')) expect(map).toMatch(new RegExp(`\\| .*\`${name}/\`.*\\|`));
});

test('every error code has its line, and no other', () => {
  const documented = [...read('docs', 'errors.md').matchAll(/^\| `([A-Z_]+)`/gm)].map(([, code]) => code);
  expect(documented.sort()).toEqual([...errorCodes].sort());
});

test('every technique and preset is in the guide', () => {
  const guide = read('docs', 'guidance.md');
  for (const name of [...Object.keys(guidanceSchema.shape), ...presetNames]) expect(guide).toContain(`\`${name}\``);
});

test('the picture is of the embedded model; `npm run demo -- --out docs/images/demo.png` draws it again', () => {
  const file = join(root, 'docs', 'images', 'demo.png');
  expect(statSync(file).size).toBeLessThan(1_000_000);
  const { bundle } = JSON.parse(decodePng(readFileSync(file)).text['detail-guidance-sheet']!) as {
    bundle: { transformer: string };
  };
  const manifest = JSON.parse(read('models', 'embedded', 'bundle.json')) as {
    files: Record<string, { sha256: string }>;
  };
  expect(bundle.transformer).toBe(manifest.files['transformer.pt']!.sha256);
});
