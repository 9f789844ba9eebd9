/** The studio in Firefox: pictures are made and stopped, compared, looked inside, kept, and limited by a painted mask. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';

import type { Page } from 'playwright-core';

import { loadPipeline } from '../../lib';
import { launchFirefox } from '../../scripts/browsers.cjs';
import { inFirefox } from '../inBrowser';
import { settles } from '../settles';

import { card, goTo, isMade, paintMask, setSteps, Studio } from './studio';

/** The bytes of the one picture in the gallery; playwright does not see Firefox's downloads of what a page made itself. */
async function keptPicture(page: Page): Promise<Buffer> {
  const text = await page.evaluate(`new Promise((resolve, reject) => {
    const request = indexedDB.open('detail-guidance', 1);
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const bytes = request.result.transaction('bytes').objectStore('bytes').getAll();
      bytes.onsuccess = async () =>
        resolve(btoa(String.fromCharCode(...new Uint8Array(await bytes.result[0].arrayBuffer()))));
    };
  })`);
  return Buffer.from(text as string, 'base64');
}

inFirefox('the studio in Firefox', () => {
  let studio: Studio;
  beforeAll(async () => {
    studio = await Studio.open({}, launchFirefox);
  }, 60_000);
  afterAll(() => studio?.close());

  test('pictures are what Node makes; previews come, and it can be stopped', async () => {
    const page = await studio.page();
    await page.getByRole('button', { name: 'Make CFG + Detail', exact: true }).click();
    await isMade(page, 'CFG + Detail');
    await goTo(page, 'Gallery');
    await page.getByText('1 picture in this gallery.', { exact: false }).waitFor();
    await goTo(page, 'Make');
    const pipeline = await loadPipeline('embedded');
    const { images } = await pipeline.generate({ classLabel: 0, seed: 7 });
    await pipeline.dispose();
    expect((await keptPicture(page)).equals(Buffer.from(images[0]!.toPng()))).toBe(true);
    await setSteps(page, 1000);
    await page.getByRole('button', { name: 'Make 5 pictures' }).click();
    const conditional = card(page, 'Conditional');
    await conditional
      .locator('.state')
      .filter({ hasText: /step \d+ of 1000/ })
      .waitFor();
    await conditional.locator('img[src^="data:"]').waitFor();
    await page.getByRole('button', { name: 'Stop', exact: true }).click();
    // The first view may be done before the browser has come to the button; the last one is not.
    await card(page, 'CFG + Detail').locator('.state').filter({ hasText: 'stopped' }).waitFor();
    await page.close();
  });

  test('a mask painted on the picture limits Detail Guidance to its tokens', async () => {
    const page = await studio.page();
    await paintMask(page);
    await page.close();
  });

  test('two settings are compared, and a sweep fills in', async () => {
    const page = await studio.page({ address: '#compare' });
    await page.getByRole('button', { name: 'Make both' }).click();
    await page.getByRole('button', { name: 'difference' }).click();
    await page.getByText(/^Of 255: \d+ at most, [\d.]+ in the mean; PSNR [\d.]+ dB\.$/).waitFor();
    await page.getByRole('button', { name: 'Sweep' }).click();
    const values = page.getByLabel('Values');
    await values.first().fill('0, 0.8');
    await values.last().fill('2');
    await page.getByRole('button', { name: 'Make 2 pictures' }).click();
    await page.getByText('2 pictures', { exact: true }).waitFor();
    await settles(() => page.locator('.sheet img').count(), 2);
    await page.close();
  });

  test('a look inside: strengths, a map, gates', async () => {
    const page = await studio.page({ address: '#inside' });
    await page.getByRole('button', { name: 'Look inside' }).click();
    const chart = page.getByRole('application', { name: /Strength of every channel after every layer/ });
    await chart.locator('svg image').waitFor();
    await page.locator('.map-layers button').nth(7).waitFor();
    await page.getByText(/rank correlation of gate and strength is -?0\.\d\d/).waitFor();
    await page.close();
  });

  test('what is made is in the gallery with its settings, and can be deleted', async () => {
    const page = await studio.page();
    await page.getByLabel('Class', { exact: true }).selectOption('Sandal');
    await page.getByRole('button', { name: 'Make Detail Guidance', exact: true }).click();
    await isMade(page, 'Detail Guidance');
    await page.getByLabel('Class', { exact: true }).selectOption('Bag');
    await goTo(page, 'Gallery');
    await page.getByRole('button', { name: /Detail Guidance: Sandal/ }).click();
    await page.getByRole('button', { name: 'Take its settings' }).click();
    await settles(() => page.getByLabel('Class', { exact: true }).inputValue(), '5');
    await goTo(page, 'Gallery');
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByText('0 pictures in this gallery.', { exact: false }).waitFor();
    await page.close();
  });

  test.each([1280, 400])('at %i pixels nothing is wider than the page', async (width) => {
    const page = await studio.page({ viewport: { width, height: 800 } });
    for (const name of ['Make', 'Compare', 'Look inside', 'Gallery']) {
      await goTo(page, name);
      const overflow = await page.evaluate(
        'document.documentElement.scrollWidth - document.documentElement.clientWidth',
      );
      expect([name, overflow]).toEqual([name, 0]);
    }
    await page.close();
  });

  test('the browser had nothing to complain about', () => {
    expect(studio.complaints).toEqual([]);
  });
});
