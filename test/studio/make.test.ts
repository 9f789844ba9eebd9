/** The studio's first page in a real browser: pictures are made, stopped, masked, and all of it by keyboard too. */
import { readFileSync } from 'node:fs';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { loadPipeline } from '../../lib';
import { inChromium } from '../inBrowser';
import { settles } from '../settles';

import { card, faultsIn, goTo, isMade, paintMask, pictureOf, setSteps, Studio } from './studio';

inChromium('the first page', () => {
  let studio: Studio;
  beforeAll(async () => {
    studio = await Studio.open();
  });
  afterAll(() => studio?.close());

  test('five views of one seed are made, and are what Node makes', async () => {
    const page = await studio.page({ bypassCSP: true });
    await page.getByRole('button', { name: 'Make 5 pictures' }).click();
    for (const title of ['Conditional', 'MA-disrupted', 'Detail Guidance', 'CFG', 'CFG + Detail'])
      await isMade(page, title);
    const pipeline = await loadPipeline('embedded');
    const { images } = await pipeline.generate({ classLabel: 0, seed: 7 });
    const alone = await pipeline.generate({ classLabel: 0, seed: 7, guidance: 'conditional' });
    await pipeline.dispose();
    // The bundle's own guidance is CFG with Detail Guidance.
    expect((await pictureOf(page, 'CFG + Detail')).equals(Buffer.from(images[0]!.toPng()))).toBe(true);
    expect((await pictureOf(page, 'Conditional')).equals(Buffer.from(alone.images[0]!.toPng()))).toBe(true);
    await page.close();
  });

  test('previews come while it samples, nothing moves, and it can be stopped', async () => {
    const page = await studio.page();
    await page.locator('.time-line').waitFor();
    await page.locator('.channel-chart svg image').waitFor();
    await setSteps(page, 1000);
    await page.evaluate(
      `window.shifts = []; new PerformanceObserver((list) => {
        for (const { value, hadRecentInput, sources } of list.getEntries())
          if (value > 0.001 && !hadRecentInput)
            window.shifts.push(value + ' ' + sources.map(({ node, previousRect, currentRect }) =>
              [node?.className, previousRect.y, previousRect.height, currentRect.y, currentRect.height].join(' ')));
      }).observe({ type: 'layout-shift' })`,
    );
    await page.getByRole('button', { name: 'Make 5 pictures' }).click();
    const conditional = card(page, 'Conditional');
    await conditional
      .locator('.state')
      .filter({ hasText: /step \d+ of 1000/ })
      .waitFor();
    await conditional.locator('img').waitFor();
    await page.getByRole('button', { name: 'Stop', exact: true }).click();
    // The first view may be done before the browser has come to the button; the last one is not.
    await card(page, 'CFG + Detail').locator('.state').filter({ hasText: 'stopped' }).waitFor();
    const states = page.locator('.card .state');
    await settles(async () => (await states.allTextContents()).filter((state) => !/^stopped$| s$/.test(state)), []);
    expect(await page.evaluate('window.shifts')).toEqual([]);
    // The server has ended them too.
    const metrics = await (await fetch(`${studio.url}/metrics`)).text();
    expect(metrics).toMatch(/detail_guidance_.*\{.*state="cancelled".*\} \d/);
    await page.close();
  });

  test('the plan is told as a time line, with its cost, and follows the settings', async () => {
    const page = await studio.page();
    const line = page.locator('.time-line');
    await line.getByText('1.13×').waitFor();
    await settles(
      () => line.locator('.lane-names b').allTextContents(),
      ['conditional', 'unconditional', 'detail-deficient'],
    );
    await page.getByLabel('Layer', { exact: true }).selectOption('0');
    await line.getByText('1.44×').waitFor();
    // Out of range: the server's own sentence, at the option.
    await page.getByLabel('Channels', { exact: true }).fill('500');
    await page.getByLabel('Channels', { exact: true }).blur();
    const wrong = page.locator('.field.wrong').filter({ has: page.getByLabel('Channels', { exact: true }) });
    expect(await wrong.getByRole('alert').textContent()).toMatch(/channels from 0 to 127/);
    await page.close();
  });

  test('what is being typed stays while the page learns of other things', async () => {
    const page = await studio.page();
    await page.locator('.time-line').waitFor();
    const channels = page.getByLabel('Channels', { exact: true });
    await channels.focus();
    await page.keyboard.type('12, 4');
    // The plan of another change arrives in between.
    await page.evaluate(`{
      const scale = document.querySelector('input[type=range][max="2"]');
      scale.value = '0.85';
      scale.dispatchEvent(new Event('input', { bubbles: true }));
    }`);
    await page.locator('.lane-text').filter({ hasText: '0.85' }).waitFor();
    await page.keyboard.type('9');
    await page.keyboard.press('Tab');
    await settles(() => channels.inputValue(), '12, 49');
    await channels.fill('twelve');
    await channels.press('Tab');
    await settles(() => channels.inputValue(), '12, 49');
    await page.close();
  });

  test('nothing can be set that the server’s first answer would throw away', async () => {
    const page = await studio.browser.newPage();
    let answer = () => {};
    const held = new Promise<void>((resolve) => (answer = resolve));
    await page.route('**/v1/bundles', async (route) => {
      await held;
      await route.continue();
    });
    await studio.visit(page);
    const scale = page.getByLabel('CFG scale s', { exact: true });
    await settles(() => scale.isDisabled(), true);
    await page.getByText('Local Detail Guidance').click();
    await settles(() => page.getByRole('application').count(), 0);
    answer();
    // It is filled in when it can be, and what the bundle says comes before.
    await scale.fill('3.5');
    await page.locator('.time-line').waitFor();
    await settles(() => scale.inputValue(), '3.5');
    await page.getByRole('application', { name: /Tokens that are disrupted/ }).waitFor();
    await page.close();
  });

  test('help is the docstring of the option', async () => {
    const page = await studio.page();
    const field = page.locator('.field').filter({ has: page.getByLabel('Detail scale w', { exact: true }) });
    await field.getByRole('button', { name: 'Help' }).click();
    const source = readFileSync('lib/guidance/detail.ts', 'utf8');
    const [, docstring] = /\/\*\* (w, from 0 to 100\..*) \*\//.exec(source)!;
    expect(await field.locator('.help-text').textContent()).toBe(docstring);
    await page.close();
  });

  test('a channel is picked on the chart, with the keyboard', async () => {
    const page = await studio.page();
    const chart = page.getByRole('application', { name: /Strength of every channel/ });
    await chart.locator('svg image').waitFor();
    await chart.focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowRight');
    const readout = page.locator('.channel-chart .readout');
    expect(await readout.textContent()).toMatch(/^Layer 6, channel 29: \d/);
    await page.keyboard.press('Enter');
    await settles(() => page.getByLabel('Layer', { exact: true }).inputValue(), '6');
    await settles(() => page.getByLabel('Channels', { exact: true }).inputValue(), '29');
    await page.close();
  });

  test('ρ over time is drawn, with the keyboard', async () => {
    const page = await studio.page();
    await page.getByLabel('Retention ρ over time').selectOption('table');
    const handle = page.getByRole('slider', { name: 'ρ at t = 0.5' });
    await handle.focus();
    await page.keyboard.press('PageUp');
    await page.keyboard.press('ArrowRight');
    expect(await handle.getAttribute('aria-valuenow')).toBe('0.3');
    await page.close();
  });

  test('a mask painted on the picture limits Detail Guidance to its tokens', async () => {
    const page = await studio.page({ bypassCSP: true });
    await paintMask(page);
    await page.getByRole('button', { name: 'Make CFG + Detail', exact: true }).click();
    await isMade(page, 'CFG + Detail');
    const pipeline = await loadPipeline('embedded');
    const tokens = [0, ...Array.from({ length: 7 }, (_, column) => 21 + column)];
    const { images } = await pipeline.generate({
      classLabel: 0,
      seed: 7,
      guidance: { classifierFree: { scale: 2 }, detail: { scale: 0.3, layer: 5, tokens } },
    });
    await pipeline.dispose();
    const { decodePng } = await import('../../lib/image/png');
    const received = decodePng(await pictureOf(page, 'CFG + Detail'));
    expect(Buffer.from(received.pixels).equals(Buffer.from(images[0]!.pixels))).toBe(true);
    await page.close();
  });

  test('a technique is added and settings are taken when that is asked for, and what is painted stays', async () => {
    const page = await studio.page();
    await paintMask(page);
    await page.getByLabel('Technique to add').focus();
    await page.keyboard.press('ArrowDown');
    await settles(() => page.getByRole('button', { name: 'Add', exact: true }).isEnabled(), true);
    expect(await page.locator('.card').count()).toBe(5);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await settles(() => page.locator('.card').count(), 6);
    const scale = page.getByLabel('Detail scale w', { exact: true });
    await scale.fill('0.5');
    await page.getByText('Presets').click();
    await page.getByLabel('Save as').fill('soft');
    await page.getByRole('button', { name: 'save', exact: true }).click();
    const take = page.getByRole('button', { name: 'take', exact: true });
    for (const [name, value] of [
      ['soft', '0.5'],
      ['the bundle’s own', '0.3'],
    ] as const) {
      await page.getByLabel('Take', { exact: true }).selectOption(name);
      await scale.fill('0.9');
      await take.click();
      await settles(() => scale.inputValue(), value);
    }
    await page.getByText('8 of 7 × 7 chosen').waitFor();
    // And when all of it is wiped out, nothing folds under the hand.
    await page.getByRole('button', { name: 'none', exact: true }).click();
    await page.getByText('None of 7 × 7 chosen').waitFor();
    await page.close();
  });

  test('inpainting: a picture to start from, and a painted mask of what is made anew', async () => {
    const page = await studio.page({ bypassCSP: true });
    await page.getByRole('button', { name: 'Make Conditional', exact: true }).click();
    await isMade(page, 'Conditional');
    const png = await pictureOf(page, 'Conditional');
    await page.getByText('Image to image').click();
    await page.getByLabel('Start from').setInputFiles({ name: 'start.png', mimeType: 'image/png', buffer: png });
    const mask = page.getByRole('application', { name: /What is painted anew/ });
    await mask.click({ position: { x: 60, y: 60 } });
    await page.getByRole('button', { name: 'Make Conditional', exact: true }).click();
    await isMade(page, 'Conditional');
    const { decodePng } = await import('../../lib/image/png');
    const [before, after] = [decodePng(png).pixels, decodePng(await pictureOf(page, 'Conditional')).pixels];
    const changed = after.reduce((count, value, at) => count + (Math.abs(value - before[at]!) > 2 ? 1 : 0), 0);
    // Some of it is another one, and most of it is kept.
    expect(changed).toBeGreaterThan(0);
    expect(changed).toBeLessThan(28 * 28 * 0.3);
    await page
      .getByLabel('Start from')
      .setInputFiles({ name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('x') });
    await page.getByText('notes.txt is no PNG, JPEG or WebP file.').waitFor();
    await page.close();
  });

  test('with the keyboard alone a picture is made', async () => {
    const page = await studio.page();
    await page.locator('.time-line').waitFor();
    const reached = new Set<string>();
    for (let presses = 0; presses < 80; presses++) {
      await page.keyboard.press('Tab');
      const name = (await page.evaluate(
        `(document.activeElement.getAttribute('aria-label') ?? document.activeElement.labels?.[0]?.textContent ?? document.activeElement.textContent)`,
      )) as string;
      reached.add(name.trim());
      if (name.trim() !== 'Make 5 pictures') continue;
      await page.keyboard.press('Enter');
      break;
    }
    for (const name of [
      'Class',
      'Seed',
      'Another seed',
      'Steps',
      'CFG scale s',
      'CFG window: first step',
      'Detail scale w',
      'Channels',
    ])
      expect(reached).toContain(name);
    await isMade(page, 'CFG + Detail');
    await page.close();
  });

  test.each(['light', 'dark'] as const)('axe-core finds no fault with any page, %s', async (colorScheme) => {
    const page = await studio.page({ colorScheme, bypassCSP: true });
    await page.getByRole('button', { name: 'Make 5 pictures' }).click();
    await isMade(page, 'CFG + Detail');
    await page.getByText('Local Detail Guidance').click();
    await page.locator('.channel-chart svg image').waitFor();
    expect(await faultsIn(page)).toEqual([]);
    await page.getByRole('button', { name: 'Copy as…' }).click();
    await page.locator('dialog[open]').waitFor();
    expect(await faultsIn(page)).toEqual([]);
    await page.keyboard.press('Escape');
    for (const name of ['Compare', 'Look inside', 'Gallery']) {
      await goTo(page, name);
      expect([name, await faultsIn(page)]).toEqual([name, []]);
    }
    await page.close();
  });

  test.each([1280, 900, 400])('at %i pixels nothing is wider than the page', async (width) => {
    const page = await studio.page({ viewport: { width, height: 800 } });
    for (const name of ['Make', 'Compare', 'Look inside', 'Gallery']) {
      await goTo(page, name);
      expect([name, await page.evaluate('document.documentElement.scrollWidth')]).toEqual([name, width]);
    }
    await page.close();
  });

  test('the browser had nothing to complain about', () => {
    expect(studio.complaints).toEqual([]);
  });
});
