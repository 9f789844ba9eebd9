/**
 * Every state of the page at its sizes: nothing is wider than the page, no words are cut off, and axe-core finds no fault.
 * TEST_SCREENSHOTS=FOLDER has each as a picture, light and dark.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';

import { encodePng } from '../../lib/image/png';
import { inChromium } from '../inBrowser';

import { fillGallery } from './fillGallery';
import { card, faultsIn, goTo, isMade, setSteps, Studio } from './studio';

const folder = process.env['TEST_SCREENSHOTS'];
const png = encodePng({ width: 28, height: 28, channels: 1, pixels: new Uint8Array(784).map((_, at) => at % 251) });

/** No width depends on the palette: all four are for who looks at the pictures. */
const views = [
  [1280, 'light'],
  [400, 'dark'],
  ...(folder
    ? ([
        [1280, 'dark'],
        [400, 'light'],
      ] as const)
    : []),
] as const;

/** Words of one line that do not fit where they stand. Titles of pictures and lists of channels may be of any length. */
const cutOff = `[...document.querySelectorAll('button, label, .facts, .title, .state, .aside, th, h2, select')]
  .filter((element) => element.checkVisibility() && !element.closest('.gallery') && !element.matches('.visually-hidden'))
  .filter((element) => element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== 'inline')
  .map((element) => element.tagName + '.' + element.className + ': ' + element.textContent)`;

/**
 * Those that have something which the pages of make.test.ts, where axe-core sees the rest, have not; in the dark, since those
 * are light. None in which pictures are made: on two busy processors both would take minutes.
 */
const checkedByAxe = [
  'make-stopped',
  'make-error',
  'compare-difference',
  'sweep-done',
  'inside-done',
  'gallery-some',
  'server-gone',
];

/** From a fresh page on, one after the other. */
const states: Record<string, (page: Page, studio: Studio) => Promise<unknown>> = {
  'gallery-empty': (page) => goTo(page, 'Gallery'),
  'make-new': async (page) => {
    await goTo(page, 'Make');
    await page.locator('.channel-chart svg image').waitFor();
  },
  'make-done': async (page) => {
    await page.getByRole('button', { name: 'Make 5 pictures' }).click();
    for (const title of ['Conditional', 'MA-disrupted', 'Detail Guidance', 'CFG', 'CFG + Detail'])
      await isMade(page, title);
  },
  'make-running': async (page) => {
    await setSteps(page, 1000);
    await page.getByRole('button', { name: 'Make 5 pictures' }).click();
    await page.locator('.card .state').filter({ hasText: /left/ }).first().waitFor();
  },
  'make-stopped': async (page) => {
    await page.getByRole('button', { name: 'Stop', exact: true }).click();
    await card(page, 'CFG + Detail').locator('.state').filter({ hasText: 'stopped' }).waitFor();
    await setSteps(page, 20);
  },
  'make-error': async (page) => {
    await page.getByLabel('Channels', { exact: true }).fill('500');
    await page.getByLabel('Channels', { exact: true }).press('Tab');
    await page.locator('.field.wrong').waitFor();
  },
  'compare-new': async (page) => {
    await page.getByLabel('Channels', { exact: true }).fill('');
    await page.getByLabel('Channels', { exact: true }).press('Tab');
    await page.locator('.field.wrong').waitFor({ state: 'detached' });
    await goTo(page, 'Compare');
  },
  'compare-pair': async (page) => {
    await page.getByRole('button', { name: 'Make both' }).click();
    await page.getByRole('button', { name: 'Save as HTML' }).and(page.locator(':enabled')).waitFor();
  },
  'compare-slider': (page) => page.getByRole('button', { name: 'slider' }).click(),
  'compare-difference': async (page) => {
    await page.getByRole('button', { name: 'difference' }).click();
    await page.getByText(/^Of 255:/).waitFor();
  },
  'compare-absolute': async (page) => {
    await page.getByRole('button', { name: 'absolute' }).click();
    await page.getByRole('img', { name: 'Difference of B and A, absolute' }).waitFor();
  },
  'sweep-new': (page) => page.getByRole('button', { name: 'Sweep' }).click(),
  'sweep-running': async (page) => {
    await page.getByRole('button', { name: /^Make \d+ pictures/ }).click();
    await page.locator('.sheet img').nth(3).waitFor();
  },
  'sweep-done': (page) => page.getByText('40 pictures', { exact: true }).waitFor({ timeout: 120_000 }),
  'rivals-new': (page) => page.getByRole('button', { name: 'Rivals at equal cost' }).click(),
  'rivals-done': async (page) => {
    await page.getByRole('button', { name: 'Make them' }).click();
    await page.getByText('12 pictures', { exact: true }).waitFor();
  },
  'inside-new': (page) => goTo(page, 'Look inside'),
  'inside-done': async (page) => {
    await page.getByRole('button', { name: 'Look inside' }).click();
    await page.locator('.map-layers button').nth(7).waitFor();
    await page.getByRole('img', { name: /disrupted after layer/ }).waitFor();
    await page.getByText(/rank correlation of gate/).waitFor();
    await page.getByRole('button', { name: 'Measure', exact: true }).click();
    await page
      .getByRole('img', { name: /Share of the variance/ })
      .locator('svg rect')
      .first()
      .waitFor();
  },
  'inside-high-norm': async (page) => {
    const slider = page.getByRole('slider', { name: /^High-norm/ });
    await slider.fill('1.2');
    await slider.dispatchEvent('change');
    await page.getByText('High-norm from 1.2×').waitFor();
    await page.getByRole('status').filter({ hasText: /^$/ }).waitFor({ state: 'attached' });
  },
  'gallery-some': async (page) => {
    await goTo(page, 'Gallery');
    await page.locator('.gallery img').first().waitFor();
    await page.locator('.gallery button').first().click();
    await page.locator('.details img').waitFor();
  },
  'gallery-100': async (page) => {
    await page.evaluate(fillGallery(100, png));
    await page.reload();
    await page.getByText(/10\d pictures in this gallery/).waitFor();
    await page.locator('.gallery img').first().waitFor();
  },
  copy: async (page) => {
    await goTo(page, 'Make');
    await page.getByRole('button', { name: 'Copy as…' }).click();
    await page.locator('dialog[open]').waitFor();
  },
  'server-gone': async (page, studio) => {
    await page.keyboard.press('Escape');
    await studio.server.close(0);
    await page.getByLabel('Class', { exact: true }).selectOption('Bag');
    await page.getByText('The server does not answer.').first().waitFor();
  },
};

inChromium('how it looks', () => {
  let studio: Studio;
  beforeAll(() => {
    if (folder) mkdirSync(folder, { recursive: true });
  });
  beforeEach(async () => {
    studio = await Studio.open();
  });
  afterEach(() => studio?.close());

  test.each(views)(
    '%i pixels, %s',
    async (width, colorScheme) => {
      const page = await studio.page({ viewport: { width, height: 900 }, colorScheme, bypassCSP: true });
      const found: unknown[] = [];
      for (const [name, reach] of Object.entries(states)) {
        await reach(page, studio);
        if (folder)
          await page.screenshot({ path: join(folder, `${name}-${width}-${colorScheme}.png`), fullPage: true });
        const wide = await page.evaluate('document.documentElement.scrollWidth');
        const cut = await page.evaluate<string[]>(cutOff);
        const faults = colorScheme === 'dark' && checkedByAxe.includes(name) ? await faultsIn(page) : [];
        if (wide !== width || cut.length > 0 || faults.length > 0) found.push([name, wide, cut, faults]);
      }
      expect(found).toEqual([]);
    },
    400_000,
  );
});
