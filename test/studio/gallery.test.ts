/** What the studio remembers: pictures with their settings, PNG files that bring them back, and programs to copy. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';

import { loadPipeline } from '../../lib';
import { decodePng, encodePng } from '../../lib/image/png';
import { inChromium } from '../inBrowser';
import { run } from '../lib/cli/run';

import { drop, pngSaying } from './drop';
import { fillGallery } from './fillGallery';
import { isMade, paintMask, pictureOf, setSteps, Studio } from './studio';

const shell = promisify(execFile);

inChromium('remembering', () => {
  let studio: Studio;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'studio-'));
    studio = await Studio.open();
  });
  afterAll(async () => {
    await studio?.close();
    await rm(folder, { recursive: true, force: true });
  });

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
    expect([await value('Class'), await value('Seed'), await value('Steps')]).toEqual(['8', '4711', '6']);
    expect([await value('CFG scale s'), await value('Detail scale w')]).toEqual(['3.5', '0.7']);
    expect([await value('Layer'), await value('Channels')]).toEqual(['2', '28, 37']);
    expect(await value('Retention ρ over time')).toBe('linear');
    // And the same bytes again.
    await page.getByRole('button', { name: 'Make CFG + Detail', exact: true }).click();
    await isMade(page, 'CFG + Detail');
    const again = decodePng(await pictureOf(page, 'CFG + Detail'));
    expect(Buffer.from(again.pixels).equals(Buffer.from(images[0]!.pixels))).toBe(true);
    await page.close();
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
      expect(await page.getByLabel('Seed', { exact: true }).inputValue()).toBe('99');
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
    await page.getByRole('link', { name: 'Gallery' }).click();
    await page.getByText('1 picture in this gallery.', { exact: false }).waitFor();
    await other.getByRole('button', { name: 'Delete' }).click();
    await page.getByText('0 pictures in this gallery.', { exact: false }).waitFor();
    await page.close();
    await other.close();
  });

  const copied = async (page: Page, form: string): Promise<string> => {
    await page.getByRole('button', { name: form }).click();
    return (await page.locator('dialog pre').textContent())!;
  };

  /** Runs a copied command, as a shell reads it. @returns the PNG that it makes */
  async function madeBy(command: string): Promise<Buffer> {
    const [program, ...words] = command.match(/'[^']*'|\S+/g)!.map((word) => word.replaceAll("'", ''));
    expect(program).toBe('detail-guidance');
    const { code, stderr } = await run(words, { cwd: folder });
    expect([code, code === 0 ? '' : stderr]).toEqual([0, '']);
    return readFile(join(folder, 'picture.png'));
  }

  test('copied as command line, as curl and as TypeScript, it is the same picture', async () => {
    const page = await studio.page({ bypassCSP: true });
    await page.getByLabel('Class', { exact: true }).selectOption('Ankle boot');
    await page.getByLabel('Detail scale w', { exact: true }).fill('0.5');
    await page.getByRole('button', { name: 'Make CFG + Detail', exact: true }).click();
    await isMade(page, 'CFG + Detail');
    const png = await pictureOf(page, 'CFG + Detail');
    await page.getByRole('button', { name: 'Copy as…' }).click();
    expect((await madeBy(await copied(page, 'Command line'))).equals(png)).toBe(true);
    await shell('sh', ['-c', await copied(page, 'curl')], { cwd: folder });
    expect((await readFile(join(folder, 'picture.png'))).equals(png)).toBe(true);
    const typeScript = await copied(page, 'TypeScript');
    const [, options] = /pipeline\.generate\((.*)\);\nawait images/s.exec(typeScript)!;
    const pipeline = await loadPipeline('embedded');
    const { images } = await pipeline.generate(new Function(`return ${options}`)() as object);
    await pipeline.dispose();
    expect(Buffer.from(images[0]!.toPng()).equals(png)).toBe(true);
    await page.context().close();
  });

  test('the command line says what no single flag can: a mask, a curve, a sampler, any technique', async () => {
    const page = await studio.page({ bypassCSP: true });
    await page.locator('.time-line').waitFor();
    await paintMask(page);
    await setSteps(page, 6);
    await page.getByLabel('Sampler').selectOption('unipc');
    await page.getByLabel('Retention ρ over time').selectOption('table');
    await page.getByLabel('Add a view').selectOption('pag+cfg');
    await page.getByLabel('Add a view').selectOption('detail+cfg-fast');
    for (const [view, flag] of [
      ['CFG + Detail', '--detail-tokens'],
      ['MA-disrupted', '--preset disrupted'],
      ['CFG + PAG', '--guidance'],
      ['CFG + Detail, reused', '--guidance'],
    ] as const) {
      await page.getByRole('button', { name: view, exact: true }).click();
      await page.getByRole('button', { name: `Make ${view}`, exact: true }).click();
      await isMade(page, view);
      await page.getByRole('button', { name: 'Copy as…' }).click();
      const command = await copied(page, 'Command line');
      expect(command).toContain(flag);
      expect(command).toContain('--scheduler unipc');
      expect([view, (await madeBy(command)).equals(await pictureOf(page, view))]).toEqual([view, true]);
      await page.keyboard.press('Escape');
    }
    await page.context().close();
  }, 60_000);

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
    // With the keyboard, one after the other, through rows that were not there.
    await page.setViewportSize({ width: 400, height: 500 });
    await page.getByRole('button', { name: 'Picture 1999' }).focus();
    for (let presses = 0; presses < 20; presses++) await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Picture 1979');
    expect(await page.evaluate('document.activeElement.parentElement.ariaPosInSet')).toBe('21');
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
