/** What strangers can put in front of the studio: pictures, bundles, a browser that keeps nothing or keeps nonsense. */
import { rmSync } from 'node:fs';

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';

import { inChromium } from '../inBrowser';
import { settles } from '../settles';

import { bundleFolder, embeddedAs } from './bundles';
import { drop, pngSaying } from './drop';
import { card, goTo, isMade, Studio } from './studio';

const script = '<img src=x onerror="window.wasRun = true">';
const made = { format: 1, version: '0.1.0', dtype: 'float32', bundle: { name: 'fashion-mnist-dit' }, seed: 1 };
const withOptions = (options: unknown) => JSON.stringify({ ...made, options });

inChromium('what strangers bring', () => {
  let studio: Studio;
  const folder = bundleFolder();
  beforeAll(async () => {
    const other = embeddedAs(folder, 'other', ({ conditioning }) => ({
      name: script,
      description: `${script} \`code\``,
      conditioning: {
        ...conditioning,
        labels: [script, '7', 'Bag', 'bag', '', ...Array<string>(5).fill('x'.repeat(1000))],
      },
    }));
    studio = await Studio.open({ bundles: ['embedded', other] });
  });
  afterAll(async () => {
    await studio?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const nothingWasRun = async (page: Page) => {
    expect(await page.evaluate('[window.wasRun, {}.polluted]')).toEqual([undefined, undefined]);
    expect(await page.locator('img[src="x"]').count()).toBe(0);
  };

  /** A page whose scripts begin in a browser that was prepared. */
  async function pageAfter(program: string, address = ''): Promise<Page> {
    const context = await studio.browser.newContext({ viewport: { width: 1280, height: 900 } });
    await context.addInitScript(program);
    return studio.visit(await context.newPage(), address);
  }

  test.each<[string, string]>([
    ['a prompt that is a program', withOptions({ prompt: script, classLabel: script, guidance: {} })],
    ['guidance that is null', withOptions({ guidance: null, scheduler: null, conditioning: null })],
    ['options of other types', withOptions({ seed: 'x', width: {}, numInferenceSteps: '4', strength: [1], prompt: 3 })],
    ['steps without end', withOptions({ numInferenceSteps: 1e9, width: 1e12, seed: -1, classLabel: 1e300 })],
    ['channels in words', withOptions({ guidance: { detail: { channels: 'all', layer: {}, scale: null } } })],
    ['an empty curve', withOptions({ guidance: { detail: { retention: { kind: 'table', times: [], values: [] } } } })],
    ['rows of several lengths', withOptions({ guidance: { detail: { tokens: [[1, 0], [1], 'x'] } } })],
    ['a mask of millions', withOptions({ guidance: { detail: { tokens: [Array<number>(2_000_000).fill(1)] } } })],
    [
      'keys of every object',
      `{"__proto__":{"polluted":1},${withOptions({}).slice(1, -2)},"__proto__":{"polluted":1}}}`,
    ],
    ['options that are a list', withOptions([1, 2])],
    ['no bundle', JSON.stringify({ ...made, bundle: null, options: {} })],
    ['a format that is an object', JSON.stringify({ format: { toString: 1 }, options: {} })],
    ['nesting without end', '['.repeat(200_000)],
    ['a prompt of 20 MB', withOptions({ prompt: 'a'.repeat(2e7) })],
  ])('a dropped PNG with %s leaves a page that works', async (_, text) => {
    const page = await studio.page();
    await page.locator('.time-line').waitFor();
    await drop(page, `${script}.png`, pngSaying(text));
    await page.locator('.notice.message').first().waitFor();
    await goTo(page, 'Make');
    await page.getByRole('button', { name: 'Make Conditional', exact: true }).click();
    await isMade(page, 'Conditional');
    await nothingWasRun(page);
    await page.reload();
    await card(page, 'Conditional').waitFor();
    await page.context().close();
  });

  test('a bundle’s names are words, whatever is in them', async () => {
    const page = await studio.page();
    await page.getByLabel('Bundle').selectOption('other');
    await page.locator('.facts').filter({ hasText: '<img' }).waitFor();
    expect(await page.getByLabel('Class', { exact: true }).locator('option').first().textContent()).toBe(script);
    await page.getByRole('button', { name: 'Make Conditional', exact: true }).click();
    await isMade(page, 'Conditional');
    // A label that is a number, or another one's but for its case, is no name on the command line.
    for (const label of ['1', '3']) {
      await page.getByLabel('Class', { exact: true }).selectOption(label);
      await page.getByRole('button', { name: 'Copy as…' }).click();
      await page.getByRole('button', { name: 'Command line' }).click();
      expect(await page.locator('dialog pre').textContent()).toContain(`--class ${label} `);
      await page.keyboard.press('Escape');
    }
    await page.getByLabel('Class', { exact: true }).selectOption('5');
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(1280);
    await goTo(page, 'Gallery');
    await page.locator('.gallery li').first().waitFor();
    await nothingWasRun(page);
    await page.context().close();
  });

  test('a browser that keeps nothing: pictures are made, and it is said that they are not kept', async () => {
    const page = await pageAfter(`
      for (const name of ['localStorage', 'sessionStorage', 'indexedDB'])
        Object.defineProperty(window, name, { get() { throw new DOMException('no', 'SecurityError'); } });
    `);
    await page.getByRole('button', { name: 'Make Conditional', exact: true }).click();
    await isMade(page, 'Conditional');
    await page.getByText(/could not be kept in the gallery: the browser lets this page keep nothing/).waitFor();
    for (const name of ['Compare', 'Look inside', 'Gallery']) {
      await goTo(page, name);
    }
    await page.getByText(/The gallery cannot be read: the browser lets this page keep nothing/).waitFor();
    await page.context().close();
  });

  test('a browser that is full: settings change all the same, and it is said that a picture is not kept', async () => {
    const page = await pageAfter(`
      const full = () => { throw new DOMException('no', 'QuotaExceededError'); };
      Storage.prototype.setItem = full;
      IDBObjectStore.prototype.put = full;
    `);
    await page.locator('.time-line').waitFor();
    await page.getByLabel('Class', { exact: true }).selectOption('Bag');
    await page.getByRole('button', { name: 'Make Conditional', exact: true }).click();
    await isMade(page, 'Conditional');
    await page.getByText(/could not be kept in the gallery: the browser gives this page no more room/).waitFor();
    await settles(() => page.getByLabel('Class', { exact: true }).inputValue(), '8');
    await page.context().close();
  });

  test.each([
    ['settings', { steps: 1e9, cfg: { scale: 'x' }, detail: { channels: 3, retention: null, tokens: { rows: 1e6 } } }],
    ['settings', { ...{ image: 'https://elsewhere.example/x.png' }, repaint: { rows: 2, columns: 2, cells: [1] } }],
    ['views', ['toString', 3, null, '__proto__']],
    ['presets', [null, { name: 3 }, { name: 'mine', part: { cfg: 'x' } }]],
    [
      'runs',
      [
        null,
        { place: 3 },
        { place: 'make/cfg', request: 'x', job: {} },
        { place: 'make/cfg', request: 1, job: '../..' },
      ],
    ],
    ['previews', {}],
    ['theme', {}],
  ])('%s of another program are as if there were none: %j', async (name, value) => {
    const text = JSON.stringify(JSON.stringify(value));
    const page = await pageAfter(`
      for (const storage of [localStorage, sessionStorage]) storage['detail-guidance.${name}'] = ${text};
    `);
    await page.locator('.time-line').waitFor();
    await page.getByText('Presets').click();
    await page.getByRole('button', { name: 'Make Conditional', exact: true }).click();
    await isMade(page, 'Conditional');
    await page.context().close();
  });

  test('a gallery that another program wrote into lists the pictures alone', async () => {
    const page = await studio.page();
    await page.getByRole('button', { name: 'Make Conditional', exact: true }).click();
    await isMade(page, 'Conditional');
    await goTo(page, 'Gallery');
    await page.getByText('1 picture in this gallery.', { exact: false }).waitFor();
    await page.evaluate(`new Promise((resolve) => {
      const request = indexedDB.open('detail-guidance', 1);
      request.onsuccess = () => {
        const transaction = request.result.transaction(['pictures', 'bytes'], 'readwrite');
        const entries = [
          { id: 'a' },
          { id: 7, title: 'x', created: 1 },
          { id: 'b', title: {}, created: 'x', width: 1, height: 1 },
          { id: 'c', title: ${JSON.stringify(script)}, created: 3, width: 28, height: 28, seed: {}, bundle: [], request: { guidance: null, prompt: {} } },
        ];
        for (const entry of entries) transaction.objectStore('pictures').put(entry);
        transaction.objectStore('bytes').put('no bytes', 'c');
        transaction.oncomplete = () => resolve(null);
      };
    })`);
    await page.reload();
    await page.getByText('2 pictures in this gallery.', { exact: false }).waitFor();
    await page.getByRole('button', { name: script }).click();
    await page.getByRole('button', { name: 'Copy as…' }).click();
    await page.locator('dialog pre').filter({ hasText: 'detail-guidance' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Take its settings' }).click();
    await page.getByText(/which this server does not offer/).waitFor();
    await nothingWasRun(page);
    await page.context().close();
  });

  test('the browser had nothing to complain about', () => {
    expect(studio.complaints).toEqual([]);
  });
});
