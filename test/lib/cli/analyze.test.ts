/** The report, opened by a real browser; and what goes wrong before it is there. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { chromium, type Browser } from 'playwright-core';

import { run, type Outcome } from './run';

const folder = mkdtempSync(join(tmpdir(), 'detail-guidance-report-'));
const out = join(folder, 'report');
let outcome: Outcome;

beforeAll(async () => {
  outcome = await run([
    'analyze',
    'embedded',
    ...['--out', out, '--bundle-out', join(folder, 'bundle')],
    ...['--class', 'Sneaker', '--class', '8', '--steps', '3', '--json', '--device', 'cpu'],
  ]);
}, 240_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('analyze writes a page and its data, tells progress, and prints what it found', () => {
  const { code, stdout, stderr } = outcome;
  expect([code, stderr]).toEqual([0, expect.stringMatching(/percent/)]);
  const printed = JSON.parse(stdout) as { page: string; data: string[]; found: boolean; bundle: string };
  expect(printed).toMatchObject({ page: join(out, 'index.html'), found: true, bundle: join(folder, 'bundle') });
  expect(readdirSync(join(out, 'data')).sort()).toEqual(printed.data.map((file) => file.split(/[\\/]/).at(-1)).sort());
  for (const file of printed.data) expect(() => JSON.parse(readFileSync(file, 'utf8')) as unknown).not.toThrow();
  const traced = JSON.parse(readFileSync(join(out, 'data', 'magnitude-over-timesteps.json'), 'utf8')) as {
    timesteps: number[];
    conditions: string[];
  };
  expect([traced.timesteps.length, traced.conditions]).toEqual([3, ['Sneaker', 'Bag']]);
});

test('--quiet prints what was found and names no files', async () => {
  const quiet = join(folder, 'quiet');
  const { code, stdout, stderr } = await run([
    ...['analyze', 'embedded', '--out', quiet, '--bundle-out', join(folder, 'quiet-bundle')],
    ...['--class', '8', '--steps', '2', '--device', 'cpu', '--quiet'],
  ]);
  expect([code, stdout.includes(quiet), stderr]).toEqual([0, false, '']);
}, 240_000);

describe('a mistake is met before anything is computed', () => {
  test.each([
    ['a folder that exists', ['--out', folder], /^OUTPUT_EXISTS: .*exists already/],
    ['a folder in none', ['--out', join(folder, 'no', 'report')], /^OUTPUT_UNWRITABLE: .*does not exist/],
    ['no folder', [], /^BAD_OPTION: .*--out/],
  ])('%s', async (_, args, message) => {
    const { code, stderr } = await run(['analyze', 'embedded', ...args]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
  });
});

test('an interrupt leaves nothing behind', async () => {
  const { code, stderr } = await run(['analyze', 'embedded', '--out', join(folder, 'ended'), '--device', 'cpu'], {
    whileRunning: (child, told) => {
      // Once: a second one would end the process at once, without unwinding.
      if (told.includes('percent') && !child.killed) child.kill('SIGINT');
    },
  });
  expect([code, stderr]).toEqual([130, expect.stringContaining('ABORT_ERR')]);
  expect(readdirSync(folder).filter((name) => name.includes('ended'))).toEqual([]);
});

/** Debian's Chromium, or another one on the PATH. */
function findChromium(): string | null {
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const found = names.flatMap((name) => folders.map((each) => join(each, name))).find((file) => existsSync(file));
  return found ?? null;
}

const executablePath = findChromium();
const suite = executablePath ? describe : describe.skip;

suite(`in a browser${executablePath ? '' : ' (skipped: no chromium on the PATH; apt-get install chromium)'}`, () => {
  let browser: Browser;
  beforeAll(async () => {
    // As root, which containers and CI are, Chromium has no sandbox of its own.
    const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
    browser = await chromium.launch({ executablePath: executablePath!, args });
  });
  afterAll(() => browser?.close());

  test('long prompts leave the pictures in sight', async () => {
    const page = await browser.newPage({ viewport: { width: 1366, height: 768 } });
    await page.goto(pathToFileURL(join(out, 'index.html')).href);
    const labels = await page.locator('td.label span').evaluateAll((all) => {
      for (const each of all as unknown as { textContent: string }[])
        each.textContent = 'a lighthouse by the sea, storm clouds and small boats, '.repeat(9);
      return all.length;
    });
    // Two rows of maps, two of interventions.
    expect(labels).toBe(4);
    const ends = await page
      .locator('#interventions img')
      .evaluateAll((all) =>
        all.map(
          (img) => (img as unknown as { getBoundingClientRect(): { right: number } }).getBoundingClientRect().right,
        ),
      );
    expect(ends).toHaveLength(10);
    expect(Math.max(...ends)).toBeLessThan(1366);
    await page.close();
  });

  test.each(['light', 'dark'] as const)(
    'the page opens %s, loads nothing else, and its plots have marks',
    async (colorScheme) => {
      const page = await browser.newPage({ colorScheme, viewport: { width: 1366, height: 768 } });
      const complaints: string[] = [];
      const requests: string[] = [];
      page.on('console', (message) => complaints.push(message.text()));
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('request', (request) => requests.push(request.url()));
      const address = pathToFileURL(join(out, 'index.html')).href;
      await page.goto(address);

      expect(complaints).toEqual([]);
      expect(requests.filter((url) => !url.startsWith('data:'))).toEqual([address]);
      const sections = page.locator('main section');
      const ids = await sections.evaluateAll((all) => all.map((each) => (each as unknown as { id: string }).id));
      expect(ids).toEqual([
        'magnitude-over-layers',
        'magnitude-over-timesteps',
        'variance-explained',
        'gates-against-activations',
        'gate-overlap',
        'high-norm-tokens',
        'spatial-maps',
        'interventions',
      ]);
      for (const id of ids.slice(0, 6)) {
        const marks = page.locator(`#${id} svg`).locator('circle, rect, path:not([stroke="none"])');
        expect(await marks.count()).toBeGreaterThan(4);
      }
      // Two pictures under five interventions; each picture is drawn.
      const pictures = page.locator('#interventions img');
      expect(await pictures.count()).toBe(10);
      const widths = await page
        .locator('img')
        .evaluateAll((all) => all.map((img) => (img as unknown as { naturalWidth: number }).naturalWidth));
      expect(Math.min(...widths)).toBeGreaterThan(0);
      // Nothing sticks out of a laptop's screen.
      const wide = await page.evaluate('document.documentElement.scrollWidth');
      expect(wide).toBe(1366);
      const paper = await page.evaluate('getComputedStyle(document.body).backgroundColor');
      expect(paper).toBe(colorScheme === 'light' ? 'rgb(255, 255, 255)' : 'rgb(20, 23, 27)');
      const shot = await page.screenshot({ fullPage: true });
      expect(shot.length).toBeGreaterThan(20_000);
      await page.close();
    },
  );
});
