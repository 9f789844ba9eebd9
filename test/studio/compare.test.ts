/** The studio's second and third page: two settings, a sweep, techniques at equal cost, and a look inside. */
import { readFile } from 'node:fs/promises';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { inChromium } from '../inBrowser';
import { settles } from '../settles';

import { beginSweep, goTo, setSteps, Studio } from './studio';

inChromium('comparing', () => {
  let studio: Studio;
  beforeAll(async () => {
    studio = await Studio.open();
  });
  afterAll(() => studio?.close());

  test('two settings: side by side, slider, difference in numbers, and one HTML file', async () => {
    const page = await studio.page({ address: '#compare' });
    await page.getByRole('button', { name: 'Make both' }).click();
    const save = page.getByRole('button', { name: 'Save as HTML' });
    await page.getByRole('button', { name: 'difference' }).click();
    await page.getByText(/^Of 255: \d+ at most, [\d.]+ in the mean; PSNR [\d.]+ dB\.$/).waitFor();
    await page.getByRole('button', { name: 'absolute' }).click();
    await page.getByRole('img', { name: 'Difference of B and A, absolute' }).waitFor();
    await page.getByRole('button', { name: 'slider' }).click();
    await page.getByLabel('How much of A is seen').fill('20');
    const [download] = await Promise.all([page.waitForEvent('download'), save.click()]);
    const html = await readFile(await download.path(), 'utf8');
    expect(html.match(/src="data:image\/png;base64,/g)).toHaveLength(2);
    expect(html).not.toMatch(/https?:\/\//);
    // The same settings twice: the same bytes, and no difference. Until they are made, the captions are of what is shown.
    await page.getByRole('button', { name: 'side by side' }).click();
    await page.getByRole('group', { name: 'B' }).getByLabel('Technique').selectOption('cfg');
    await settles(() => page.locator('figcaption').allTextContents(), ['A CFG', 'B CFG + Detail']);
    await page.getByRole('button', { name: 'Make both' }).click();
    await page.getByRole('button', { name: 'difference' }).click();
    await page.getByText(/PSNR infinite: the same picture/).waitFor();
    await page.close();
  });

  test('a sweep fills in, and a click takes its settings', async () => {
    const page = await studio.page();
    await page.locator('.time-line').waitFor();
    await setSteps(page, 4);
    await goTo(page, 'Compare');
    await page.getByRole('button', { name: 'Sweep' }).click();
    const values = page.getByLabel('Values');
    await values.first().fill('0, 0.4, 0.8');
    await values.last().fill('2 5');
    await page.getByRole('button', { name: 'Make 6 pictures' }).click();
    await page.getByText('6 pictures', { exact: true }).waitFor();
    await settles(() => page.locator('.sheet img').count(), 6);
    await page.locator('.sheet tbody tr').last().locator('button').last().click();
    await settles(() => page.getByLabel('Detail scale w', { exact: true }).inputValue(), '0.8');
    await settles(() => page.getByLabel('Layer', { exact: true }).inputValue(), '5');
    await goTo(page, 'Compare');
    await values.first().fill('one, two');
    await page.getByText('Numbers with commas between them.').waitFor();
    await settles(() => page.getByRole('button', { name: /^Make \d+ pictures/ }).isDisabled(), true);
    await page.close();
  });

  test('no picture of the last sweep stands under the captions of the next', async () => {
    const page = await studio.page({ address: '#compare' });
    await page.getByRole('button', { name: 'Sweep' }).click();
    await page.getByLabel('Down').selectOption('');
    await page.getByRole('button', { name: 'Make 5 pictures' }).click();
    await page.getByText('5 pictures', { exact: true }).waitFor();
    await settles(() => page.locator('.sheet img').count(), 5);
    await page.route('**/v1/jobs', (route) => route.fulfill({ status: 429, headers: { 'Retry-After': '600' } }));
    await page.getByLabel('Values').fill('1.1, 1.2, 1.3, 1.4, 1.5');
    await page.getByRole('button', { name: 'Make 5 pictures' }).click();
    await page.locator('.sheet th').filter({ hasText: '1.5' }).waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await settles(() => page.getByRole('button', { name: 'Stop' }).isDisabled(), true);
    expect(await page.locator('.sheet img').count()).toBe(0);
    await page.context().close();
  });

  test('a sweep can be stopped', async () => {
    const page = await studio.page();
    await beginSweep(page);
    await page.getByRole('button', { name: 'Stop' }).click();
    await settles(() => page.getByRole('button', { name: 'Stop' }).isDisabled(), true);
    expect(await page.locator('.sheet img').count()).toBeLessThan(40);
    await page.close();
  });

  test('rivals take as many steps as the same number of blocks allows', async () => {
    const page = await studio.page({ address: '#compare' });
    await page.getByRole('button', { name: 'Rivals at equal cost' }).click();
    await page.getByRole('button', { name: 'Make them' }).click();
    await page.getByText('12 pictures', { exact: true }).waitFor();
    const shares = (await page.locator('.sheet small').allTextContents()).map((text) =>
      Number(/, (\d+) %/.exec(text)![1]),
    );
    expect(Math.min(...shares)).toBeGreaterThanOrEqual(95);
    expect(Math.max(...shares)).toBeLessThanOrEqual(105);
    await page.close();
  });

  test('settings that change while rivals are planned are of none of them', async () => {
    const page = await studio.page({ address: '#compare' });
    await page.getByRole('button', { name: 'Rivals at equal cost' }).click();
    let isHeld = true;
    let letGo = () => {};
    const held = new Promise<void>((resolve) => (letGo = resolve));
    const asked = page.waitForRequest('**/v1/plan');
    await page.route('**/v1/plan', async (route) => {
      if (isHeld) await held;
      await route.continue();
    });
    await page.getByRole('button', { name: 'Make them' }).click();
    await asked;
    await goTo(page, 'Make');
    await page.getByLabel('Seed', { exact: true }).fill('99');
    await page.getByLabel('Seed', { exact: true }).press('Tab');
    const seeds: number[] = [];
    page.on('request', (request) => {
      if (request.url().endsWith('/v1/jobs')) seeds.push((request.postDataJSON() as { seed: number }).seed);
    });
    isHeld = false;
    letGo();
    await goTo(page, 'Compare');
    await page.getByText('12 pictures', { exact: true }).waitFor();
    expect(new Set(seeds)).toEqual(new Set([7]));
    await page.getByRole('region', { name: /seed 7$/ }).waitFor();
    await page.context().close();
  });

  test('of a model that is measured when it is asked for, a measurement of other settings says so', async () => {
    const page = await studio.browser.newPage();
    // The embedded model, as if it were a large one.
    await page.route('**/v1/bundles', async (route) => {
      const response = await route.fetch();
      const answer = (await response.json()) as { bundles: { size: object }[] };
      const bundles = answer.bundles.map((bundle) => ({ ...bundle, size: { ...bundle.size, width: 65, height: 65 } }));
      await route.fulfill({ response, json: { ...answer, bundles } });
    });
    await studio.visit(page);
    await page.getByRole('button', { name: 'Measure the channels' }).click();
    await page.locator('.channel-chart svg image').waitFor();
    expect(await page.getByText('The settings have changed since').count()).toBe(0);
    await page.getByLabel('Class', { exact: true }).selectOption('Bag');
    await page.getByText('The settings have changed since it was measured.').waitFor();
    await goTo(page, 'Look inside');
    await page.getByText('The settings have changed since: look inside again.').waitFor();
    await page.close();
  });

  test('a look inside: strengths, a map, gates, what sets the strength, and a channel disrupted', async () => {
    const page = await studio.page({ address: '#inside' });
    await page.getByRole('button', { name: 'Look inside' }).click();
    const chart = page.getByRole('application', { name: /Strength of every channel after every layer/ });
    await chart.locator('svg image').waitFor();
    await page.locator('.map-layers button').nth(7).waitFor();
    await page.getByText(/rank correlation of gate and strength is -?0\.\d\d/).waitFor();
    const without = page.getByRole('img', { name: /disrupted after layer/ });
    await without.waitFor();
    await chart.focus();
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: /^Channel 28 over the picture/ }).waitFor();
    await page.getByRole('img', { name: 'channel 28 disrupted after layer 4' }).waitFor();
    await settles(() => page.getByText('The settings have changed since').count(), 0);
    await page.getByRole('button', { name: 'Measure', exact: true }).click();
    await page
      .getByRole('img', { name: /Share of the variance/ })
      .locator('svg rect')
      .first()
      .waitFor();
    await goTo(page, 'Make');
    await page.getByLabel('Class', { exact: true }).selectOption('Bag');
    await goTo(page, 'Look inside');
    await page.getByText('The settings have changed since: look inside again.').waitFor();
    await page.close();
  });

  test('the browser had nothing to complain about', () => {
    expect(studio.complaints).toEqual([]);
  });
});
