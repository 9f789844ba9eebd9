/** What the studio remembers: pictures with their settings, and PNG files that bring them back. */
import { readFile } from 'node:fs/promises';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { loadPipeline } from '../../lib';
import { decodePng, encodePng } from '../../lib/image/png';
import { inChromium } from '../inBrowser';
import { settles } from '../settles';

import { drop, pngSaying } from './drop';
import { fillGallery } from './fillGallery';
import { goTo, isMade, pictureOf, Studio } from './studio';

inChromium('remembering', () => {
  let studio: Studio;
  beforeAll(async () => {
    studio = await Studio.open();
  });
  afterAll(() => studio?.close());

  test('a PNG made by the package brings its settings back', async () => {
    const pipeline = await loadPipeline('embedded');
    const { images } = await pipeline.generate({
      classLabel: 'Bag',
      seed: 4711,
      numInferenceSteps: 6,
      guidance: {
        classifierFree: { scale: 3.5, stop: 0.5 },
        detail: {
          scale: 0.7,
          layer: 2,
          channels: [28, 37],
          retention: { kind: 'linear', data: 0, noise: 0.5 },
          start: 0.5,
        },
      },
    });
    await pipeline.dispose();
    const page = await studio.page({ bypassCSP: true });
    await page.locator('.time-line').waitFor();
    await drop(page, 'bag.png', images[0]!.toPng());
    await page.getByText('bag.png: Its settings are here: seed 4711.').waitFor();
    const value = (label: string) => page.getByLabel(label, { exact: true }).inputValue();
    const settings = {
      Class: '8',
      Seed: '4711',
      Steps: '6',
      'CFG scale s': '3.5',
      'Detail scale w': '0.7',
      Layer: '2',
      Channels: '28, 37',
      'Retention ρ over time': 'linear',
    };
    for (const [label, found] of Object.entries(settings)) await settles(() => value(label), found);
    // And the same bytes again.
    await page.getByRole('button', { name: 'Make CFG + Detail', exact: true }).click();
    await isMade(page, 'CFG + Detail');
    const again = decodePng(await pictureOf(page, 'CFG + Detail'));
    expect(Buffer.from(again.pixels).equals(Buffer.from(images[0]!.pixels))).toBe(true);
    await page.close();
  });

  test('what the page has no control for is named, and tokens are those of the picture’s own size', async () => {
    const pipeline = await loadPipeline('embedded');
    const { images } = await pipeline.generate({
      classLabel: 'Bag',
      numInferenceSteps: 3,
      scheduler: { kind: 'unipc', timestepSpacing: 'trailing' },
      guidance: { detail: { scale: 0.7, layer: [2, 5], reuse: 2, tokens: [8] } },
    });
    await pipeline.dispose();
    const page = await studio.page();
    await page.locator('.time-line').waitFor();
    await drop(page, 'bag.png', images[0]!.toPng());
    await page
      .getByText(/Not all of it can be set here: detail\.layer, detail\.reuse, sampler\.timestepSpacing\./)
      .waitFor();
    await page.getByText('1 of 7 × 7 chosen').waitFor();
    const elsewhere = { plan: { size: { tokenGrid: [2, 2] } }, options: { guidance: { detail: { tokens: [3] } } } };
    const metadata = { format: 1, version: '0.0.1', bundle: { name: 'fashion-mnist-dit' }, ...elsewhere };
    await drop(page, 'small.png', pngSaying(JSON.stringify(metadata)));
    await page.getByText(/chosen\. Painted for 2 × 2, and scaled\./).waitFor();
    await page.close();
  });

  test('a picture that was started from another one says so when its settings are taken, and keeps its mask', async () => {
    const page = await studio.page();
    await page.locator('.time-line').waitFor();
    await page.getByText('Image to image').click();
    const buffer = Buffer.from(encodePng({ width: 28, height: 28, channels: 1, pixels: new Uint8Array(784) }));
    await page.getByLabel('Start from').setInputFiles({ name: 'start.png', mimeType: 'image/png', buffer });
    await page.getByRole('application', { name: /What is painted anew/ }).click({ position: { x: 60, y: 60 } });
    await page.getByText(/[1-9]\d* of 28 × 28 chosen/).waitFor();
    await page.getByRole('button', { name: 'Make CFG', exact: true }).click();
    await isMade(page, 'CFG');
    await goTo(page, 'Gallery');
    await page.locator('.gallery button').click();
    await page.getByRole('button', { name: 'Copy as…' }).click();
    await page.getByRole('button', { name: 'save maskImage.png' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Take its settings' }).click();
    await page.getByText('It was started from another picture', { exact: false }).waitFor();
    // What was chosen is chosen still.
    await page.getByText(/[1-9]\d* of 28 × 28 chosen/).waitFor();
    await page.context().close();
  });

  test('other files are answered with a sentence, and nothing is lost', async () => {
    const page = await studio.page();
    await page.locator('.time-line').waitFor();
    await page.getByLabel('Seed', { exact: true }).fill('99');
    await page.getByLabel('Seed', { exact: true }).blur();
    const plain = encodePng({ width: 2, height: 2, channels: 1, pixels: new Uint8Array(4) });
    const metadata = { format: 1, version: '0.0.1', bundle: { name: 'sd35' }, options: {}, seed: 1 };
    const withText = (text: unknown) => pngSaying(JSON.stringify(text));
    const cases: [string, Uint8Array, RegExp][] = [
      ['photo.png', plain, /photo\.png was not made by detail-guidance/],
      ['text.png', new TextEncoder().encode('hello'), /text\.png is no PNG/],
      ['short.png', plain.subarray(0, 40), /short\.png is cut short/],
      [
        'future.png',
        withText({ ...metadata, format: 2 }),
        /future\.png has settings of the format 2; this page reads format 1/,
      ],
      [
        'other.png',
        withText(metadata),
        /other\.png: It was made with the bundle sd35, which this server does not offer/,
      ],
      [
        'older.png',
        withText({ ...metadata, bundle: { name: 'fashion-mnist-dit' }, options: { seed: 99 } }),
        /older\.png: It was made by version 0\.0\.1/,
      ],
    ];
    for (const [name, bytes, sentence] of cases) {
      await drop(page, name, bytes);
      await page.getByText(sentence).waitFor();
      await settles(() => page.getByLabel('Seed', { exact: true }).inputValue(), '99');
    }
    await page.close();
  });

  test('what is made is in the gallery, in another tab too, with its settings; and can be deleted', async () => {
    const page = await studio.page();
    await page.getByLabel('Class', { exact: true }).selectOption('Sandal');
    await page.getByRole('button', { name: 'Make CFG + Detail', exact: true }).click();
    await isMade(page, 'CFG + Detail');
    const other = await studio.visit(await page.context().newPage(), '#gallery');
    await other.getByRole('button', { name: /CFG \+ Detail: Sandal/ }).click();
    const [download] = await Promise.all([
      other.waitForEvent('download'),
      other.getByRole('button', { name: 'Save the PNG' }).click(),
    ]);
    expect(decodePng(await readFile(await download.path())).text).toHaveProperty('detail-guidance');
    await goTo(page, 'Gallery');
    await page.getByText('1 picture in this gallery.', { exact: false }).waitFor();
    await other.getByRole('button', { name: 'Delete' }).click();
    await page.getByText('0 pictures in this gallery.', { exact: false }).waitFor();
    await page.close();
    await other.close();
  });

  test('pictures of a folder that is read before the server has answered get their bundle when it has', async () => {
    const context = await studio.browser.newContext();
    await context.addInitScript(`
      const facts = { created: 1, width: 28, height: 28, version: '1', bundle: 'fashion-mnist-dit' };
      const picture = { ...facts, file: 'a.png', options: { classLabel: 8, seed: 3, guidance: {} } };
      const answer = (value) => Promise.resolve({ ok: true, value });
      const list = () => answer({ folder: '/', pictures: [picture], skipped: [] });
      window.detailGuidanceHost = { gallery: { list, read: () => answer(null) } };
    `);
    const page = await context.newPage();
    let letGo = () => {};
    const held = new Promise<void>((resolve) => (letGo = resolve));
    await page.route('**/v1/bundles', async (route) => {
      await held;
      await route.continue();
    });
    await studio.visit(page, '#gallery');
    await page.getByText('Conditional: class 8').waitFor();
    letGo();
    await page.getByRole('button', { name: 'Conditional: Bag' }).click();
    await page.getByRole('button', { name: 'Take its settings' }).click();
    await settles(() => page.getByLabel('Class', { exact: true }).inputValue(), '8');
    await context.close();
  });

  test('with the keyboard alone a picture is opened, left and deleted', async () => {
    const page = await studio.page();
    for (const title of ['CFG', 'Conditional']) {
      await page.getByRole('button', { name: `Make ${title}`, exact: true }).click();
      await isMade(page, title);
    }
    await goTo(page, 'Gallery');
    await page.getByRole('button', { name: /^Conditional: / }).focus();
    const focused = page.locator(':focus');
    await page.keyboard.press('Enter');
    const chosen = page.getByRole('complementary', { name: 'The chosen picture' }).and(focused);
    await chosen.waitFor();
    await page.keyboard.press('Tab');
    expect(await focused.textContent()).toBe('Take its settings');
    await page.keyboard.press('Escape');
    expect(await focused.getAttribute('aria-pressed')).toBe('false');
    await page.keyboard.press('Enter');
    await chosen.waitFor();
    for (let presses = 0; presses < 4; presses++) await page.keyboard.press('Tab');
    expect(await focused.textContent()).toBe('Delete');
    await page.keyboard.press('Enter');
    await page.getByText('1 picture in this gallery.', { exact: false }).waitFor();
    expect(await focused.textContent()).toMatch(/^CFG: /);
    await page.context().close();
  });

  test('of thousands of pictures those in sight are in the page, and all can be reached', async () => {
    const page = await studio.page({ address: '#gallery' });
    await page.getByText('0 pictures in this gallery.', { exact: false }).waitFor();
    const png = encodePng({ width: 28, height: 28, channels: 1, pixels: new Uint8Array(784).map((_, at) => at % 251) });
    await page.evaluate(fillGallery(2000, png));
    await page.reload();
    await page.getByText('2000 pictures in this gallery.', { exact: false }).waitFor();
    const cards = page.locator('.gallery li');
    await cards.first().locator('img').waitFor();
    expect(await cards.count()).toBeLessThan(150);
    // With the keyboard, one after the other, through rows that were not there; also where no frame is drawn in between.
    await page.setViewportSize({ width: 400, height: 500 });
    await page.locator('.gallery[style*="--columns: 2;"]').waitFor();
    await page.getByRole('button', { name: 'Picture 1999' }).focus();
    const active = () => page.evaluate('document.activeElement.textContent');
    for (let presses = 0; presses < 20; presses++) await page.keyboard.press('Tab');
    expect(await active()).toBe('Picture 1979');
    await page.evaluate(`{
      const next = requestAnimationFrame.bind(window);
      const waiting = [];
      window.requestAnimationFrame = (callback) => waiting.push(callback);
      window.drawAgain = () => { window.requestAnimationFrame = next; waiting.forEach(next); };
    }`);
    for (let presses = 0; presses < 20; presses++) await page.keyboard.press('Tab');
    expect(await active()).toBe('Picture 1959');
    for (let presses = 0; presses < 20; presses++) await page.keyboard.press('Shift+Tab');
    expect(await active()).toBe('Picture 1979');
    expect(await page.evaluate('document.activeElement.parentElement.ariaPosInSet')).toBe('21');
    await page.evaluate('drawAgain()');
    // Rows of another height: the one with the focus is kept.
    const row = await page.evaluate(`document.querySelector('.gallery').style.getPropertyValue('--row')`);
    await page.setViewportSize({ width: 420, height: 500 });
    await page.locator(`.gallery:not([style*="--row: ${row};"])`).waitFor();
    expect(await active()).toBe('Picture 1979');
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.mouse.move(640, 500);
    await page.mouse.wheel(0, 1e6);
    const last = cards.filter({ hasText: /^Picture 0$/ }).getByRole('button');
    await last.locator('img').waitFor();
    expect(await cards.count()).toBeLessThan(150);
    await last.click();
    await page.getByRole('heading', { name: 'Picture 0' }).waitFor();
    await page.setViewportSize({ width: 400, height: 800 });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(400);
    await page.context().close();
  }, 60_000);

  test('the browser had nothing to complain about', () => {
    expect(studio.complaints).toEqual([]);
  });
});
