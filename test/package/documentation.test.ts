/** Every JavaScript block of the README and of docs/ is a program that runs as it stands, in the order of the pages. */
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { decodePng } from '../../lib/image/png';
import { root } from '../../setup/cache.cjs';

import { withoutInt8 } from '../processor';

import { Application } from './application';

const guides = [
  'README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .sort()
    .map((name) => join('docs', name)),
];
const blocks = guides.flatMap((guide) => {
  const text = readFileSync(join(root, guide), 'utf8');
  return [...text.matchAll(/^```js\n([\s\S]*?)^```/gm)].map(({ 1: program, index }) => ({
    place: `${guide}:${text.slice(0, index).split('\n').length}`,
    program: program!,
  }));
});

/** What a page measures with more pictures than a test has time for. */
const shortened: Record<string, [string, string]> = {
  'const count = 200;': ['const count = 200;', 'const count = 4;'],
};

let application: Application;
beforeAll(async () => {
  application = await Application.install();
  // What `python -m models.fashion_mnist` writes, as docs/claims.md says above its program.
  await application.write(
    'pictures.mjs',
    `import { encodeSafetensors } from 'detail-guidance'; import { writeFileSync } from 'node:fs';
     const images = { data: new Uint8Array(8 * 28 * 28).map((_, i) => (i * 37) % 256), shape: [8, 28, 28], dtype: 'uint8' };
     const labels = { data: BigInt64Array.from({ length: 8 }, (_, i) => BigInt(i % 4)), shape: [8], dtype: 'int64' };
     writeFileSync('test.safetensors', encodeSafetensors({ images, labels }));`,
  );
  expect(await application.node(['pictures.mjs'])).toEqual({ code: 0, stdout: '', stderr: '' });
}, 60_000);
afterAll(() => application.remove());

test('there are such programs', () => {
  expect(blocks.length).toBeGreaterThan(12);
});

/** What this processor cannot do, and says so. */
const beyond = blocks.filter(({ program }) => withoutInt8 !== null && program.includes("quantize: 'int8'"));
for (const { place } of beyond) test.skip(`${place} (skipped: ${withoutInt8})`, () => undefined);

test.each(blocks.filter((block) => !beyond.includes(block)))(
  '$place',
  async ({ place, program }) => {
    let text = program;
    for (const [from, to] of Object.values(shortened)) text = text.replace(from, to);
    const file = `${place.replace(/\W+/g, '-')}.mjs`;
    await application.write(file, text);
    const { code, stdout, stderr } = await application.node([file]);
    expect([code, stderr]).toEqual([0, '']);
    // Of what a program reads and nothing has.
    expect(stdout).not.toMatch(/\bundefined\b/);
  },
  180_000,
);

test('the same from a shell, as the README says', async () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8').replace(/\n(?=--)/g, ' ');
  const [, args] = /`npx detail-guidance (generate embedded [^`]*--out )sneaker\.png`/.exec(readme) ?? [];
  const cli = join(application.installed, 'dist', 'cli.js');
  const { code } = await application.node([cli, ...args!.trim().split(' '), 'shell.png']);
  expect(code).toBe(0);
  const [shell, program] = await Promise.all(
    ['shell.png', 'sneaker.png'].map(async (file) => decodePng(await readFile(join(application.folder, file)))),
  );
  expect(shell!.pixels).toEqual(program!.pixels);
}, 60_000);
