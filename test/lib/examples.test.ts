/** Runs the examples as an application that has this package among its dependencies. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';

import { chromium } from 'playwright-core';

import { decodePng } from '../../lib/image/png';

const root = resolve(__dirname, '..', '..');
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'node-app-'));
  await cp(join(root, 'examples', 'node-app'), folder, {
    recursive: true,
    filter: (file) => !/node_modules/.test(file),
  });
  await mkdir(join(folder, 'node_modules'));
  // What `npm install` makes of a `file:` dependency.
  await symlink(root, join(folder, 'node_modules', 'detail-guidance'), 'dir');
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

function node(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((settle, reject) => {
    const child = spawn(process.execPath, args, { cwd: folder });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => settle({ code, stdout, stderr }));
  });
}

test('smallest.js makes its picture and prints nothing', async () => {
  expect(await node('smallest.js')).toEqual({ code: 0, stdout: '', stderr: '' });
  const { width, height, pixels } = decodePng(await readFile(join(folder, 'sneaker.png')));
  expect([width, height]).toEqual([28, 28]);
  expect(new Set(pixels).size).toBeGreaterThan(20);
}, 120_000);

test("the README's smallest program is that file", async () => {
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const program = await readFile(join(root, 'examples', 'node-app', 'smallest.js'), 'utf8');
  expect(readme).toContain(program.replace(/^\/\/.*\n/, ''));
});

test('batch.js goes on after a job that fails', async () => {
  const { code, stdout, stderr } = await node('batch.js', 'jobs.json');
  expect(stdout.trimEnd().split('\n')).toEqual([
    'boots-0.png: seed 1',
    'boots-1.png: seed 2',
    'bag-plain.png: seed 4',
    'bag-detail.png: seed 4',
  ]);
  expect(stderr).toMatch(/^hat\.png: CLASS_OUT_OF_RANGE: /);
  expect(code).toBe(1);
  const files = (await readdir(folder)).filter((name) => name.startsWith('b') && name.endsWith('.png'));
  expect(files).toHaveLength(4);
  const [plain, detail] = await Promise.all(
    ['bag-plain.png', 'bag-detail.png'].map((name) => readFile(join(folder, name))),
  );
  expect(decodePng(plain!).pixels).not.toEqual(decodePng(detail!).pixels);
}, 180_000);

test('plan.cjs works from CommonJS and shows the window', async () => {
  const { code, stdout } = await node('plan.cjs');
  expect(code).toBe(0);
  const rows = stdout.trimEnd().split('\n');
  expect(rows).toHaveLength(3);
  expect(stdout).toMatch(/^conditional +2\.0 +2\.0 +2\.3( +2\.3){5} +2\.0 +2\.0 +conditional$/m);
  expect(stdout).toMatch(/^conditional +0\.0 +0\.0( +-0\.3){6} +0\.0 +0\.0 +detail-deficient \(layer/m);
  expect(stdout).toMatch(/^unconditional +-1\.0/m);
}, 120_000);

test('sweep.js writes its table, its plot and its contact sheet', async () => {
  const script = await readFile(join(root, 'examples', 'benchmark', 'sweep.js'), 'utf8');
  expect(script.trimEnd().split('\n')).toHaveLength(30);
  await writeFile(join(folder, 'sweep.js'), script);
  expect(await node('sweep.js')).toEqual({ code: 0, stdout: '', stderr: '' });
  const rows = (await readFile(join(folder, 'sweep.csv'), 'utf8')).split('\n');
  expect(rows[0]).toBe('layer,scale,texture');
  expect(rows.slice(1).map((row) => row.split(',').slice(0, 2).join(' at '))).toEqual(
    [1, 4, 7].flatMap((layer) => [0, 0.25, 0.5, 1].map((scale) => `${layer} at ${scale}`)),
  );
  // Without a scale the layer does not matter.
  expect(new Set([1, 5, 9].map((row) => rows[row]!.split(',')[2])).size).toBe(1);
  const plot = decodePng(await readFile(join(folder, 'sweep.png')));
  expect([plot.width, plot.height, plot.channels]).toEqual([1440, 840, 3]);
  expect([...plot.pixels.subarray(0, 3)]).toEqual([255, 255, 255]);
  const colours = new Set<number>();
  for (let at = 0; at < plot.pixels.length; at += 3)
    colours.add((plot.pixels[at]! << 16) | (plot.pixels[at + 1]! << 8) | plot.pixels[at + 2]!);
  for (const line of [0x0072b2, 0xd55e00, 0x009e73]) expect(colours.has(line)).toBe(true);
  const sheet = decodePng(await readFile(join(folder, 'sheet.png')));
  expect(sheet.width).toBeGreaterThan(4 * 2 * 84);
}, 180_000);

/** Starts server.js on a free port, says where it listens, and stops it as a supervisor does. */
async function withServer(use: (url: string) => Promise<void>): Promise<void> {
  const child = spawn(process.execPath, ['server.js'], { cwd: folder, env: { ...process.env, PORT: '0' } });
  const ended = new Promise<number | null>((settle) => child.on('close', settle));
  let output = '';
  try {
    const url = await new Promise<string>((settle, reject) => {
      const read = (chunk: Buffer) => {
        output += chunk.toString();
        const [, address] = /^listening on (\S+)$/m.exec(output) ?? [];
        if (address) settle(address);
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
      void ended.then((code) => reject(new Error(`server.js ended with ${code}: ${output}`)));
    });
    await use(url);
  } finally {
    child.kill('SIGTERM');
  }
  expect(await ended).toBe(0);
}

test('server.js serves its page', async () => {
  await withServer(async (url) => {
    const page = await (await fetch(url)).text();
    expect(page).toContain('<h1>Detail Guidance</h1>');
    expect(page.trimEnd().split('\n').length).toBeLessThanOrEqual(60);
  });
}, 120_000);

const browsers = ['chromium', 'chromium-browser', 'google-chrome'];
const folders = (process.env['PATH'] ?? '').split(delimiter);
const executablePath = browsers.flatMap((name) => folders.map((each) => join(each, name))).find(existsSync);

(executablePath ? test : test.skip)(
  `the page makes a picture${executablePath ? '' : ' (skipped: no chromium on the PATH; apt-get install chromium)'}`,
  async () => {
    expect((await node('smallest.js')).code).toBe(0);
    // As root, which containers and CI are, Chromium has no sandbox of its own.
    const browser = await chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
    try {
      await withServer(async (url) => {
        const page = await browser.newPage();
        await page.goto(url);
        await page.getByLabel('Class').selectOption('Sneaker');
        await page.getByRole('button', { name: 'Make a picture' }).click();
        await page.getByText(/^done in /).waitFor({ timeout: 60_000 });
        const shown = await page.locator('#picture').getAttribute('src');
        const picture = decodePng(new Uint8Array(await (await fetch(new URL(shown!, url))).arrayBuffer()));
        // The page's own defaults are those of smallest.js.
        expect(picture.pixels).toEqual(decodePng(await readFile(join(folder, 'sneaker.png'))).pixels);
        await page.close();
      });
    } finally {
      await browser.close();
    }
  },
  180_000,
);
