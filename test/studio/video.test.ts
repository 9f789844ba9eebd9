/** Videos on the page: asked for, played, kept, taken over and copied with their number of frames. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';

import { loadPipeline } from '../../lib';
import { inChromium } from '../inBrowser';
import { exportSmallWan, framesOf, withVideos, type VideoBundle } from '../video';
import { settles } from '../settles';

import { drop } from './drop';
import { card, goTo, isMade, pictureOf, Studio } from './studio';

const prompt = 'a dew drop on a spider web';

inChromium('in a browser', () => {
  withVideos('videos', () => {
    let bundle: VideoBundle;
    let studio: Studio;
    beforeAll(async () => {
      bundle = await exportSmallWan();
      studio = await Studio.open({ bundles: [bundle.folder, 'embedded'] });
    }, 600_000);
    afterAll(async () => {
      await studio?.close();
      bundle?.remove();
    });

    const frames = (page: Page) => page.getByLabel('Frames', { exact: true });
    async function setFrames(page: Page, count: number): Promise<void> {
      await frames(page).fill(String(count));
      await frames(page).press('Tab');
    }
    /** A page that has made a video of nine frames. */
    async function made(): Promise<Page> {
      const page = await studio.page({ bypassCSP: true });
      await page.getByLabel('Prompt', { exact: true }).fill(prompt);
      await setFrames(page, 9);
      await page.getByRole('button', { name: 'Make Conditional', exact: true }).click();
      await isMade(page, 'Conditional');
      return page;
    }

    test('the number of frames is asked for where the model makes videos, and nowhere else', async () => {
      const page = await studio.page();
      await settles(() => frames(page).inputValue(), '5');
      const limits = ['min', 'max', 'step'].map((name) => frames(page).getAttribute(name));
      expect(await Promise.all(limits)).toEqual(['1', '10000', '4']);
      const field = page.locator('.field').filter({ has: frames(page) });
      await field.getByText('16 a second').waitFor();
      await field.getByRole('button', { name: 'Help' }).click();
      await field.getByText(/^Frames of a video, one more than a multiple/).waitFor();
      // What cannot be made is said at the field, in the server's words.
      await setFrames(page, 7);
      await field.getByRole('alert').getByText('near it: 5, 9').waitFor();
      await page.getByLabel('Bundle').selectOption('embedded');
      await page.getByLabel('Class', { exact: true }).waitFor();
      await settles(() => frames(page).count(), 0);
      await page.close();
    });

    test('a view plays the video that Node makes', async () => {
      const page = await made();
      const pipeline = await loadPipeline(bundle.folder);
      const { images } = await pipeline.generate({ prompt, seed: 7, numFrames: 9, guidance: 'conditional' });
      await pipeline.dispose();
      const png = await pictureOf(page, 'Conditional');
      expect(framesOf(png)).toMatchObject({ frames: { length: 9 }, frameRate: 16 });
      expect(png.equals(Buffer.from(images[0]!.toPng()))).toBe(true);
      const shown = card(page, 'Conditional').locator('img');
      const first = await shown.screenshot();
      // A picture that stood still would never be another.
      while ((await shown.screenshot()).equals(first));
      await page.close();
    });

    test('the gallery keeps it, says how long it is, and gives its settings back', async () => {
      const page = await made();
      await setFrames(page, 5);
      await goTo(page, 'Gallery');
      await page.locator('.gallery li img').first().waitFor();
      await page.locator('.gallery li button').first().click();
      const details = page.getByRole('complementary', { name: 'The chosen picture' });
      await details.locator('dt', { hasText: 'Frames' }).waitFor();
      expect(await details.locator('dt', { hasText: 'Frames' }).locator('+ dd').textContent()).toBe('9');
      await details.getByRole('button', { name: 'Take its settings' }).click();
      await goTo(page, 'Make');
      await settles(() => frames(page).inputValue(), '9');
      await page.close();
    });

    test('what is copied asks for it, and writes one file', async () => {
      const page = await made();
      await page.getByRole('button', { name: 'Copy as…' }).click();
      const copied = async (form: string) => {
        await page.getByRole('button', { name: form }).click();
        return (await page.locator('dialog pre').textContent())!;
      };
      expect(await copied('Command line')).toMatch(/ --frames 9 .* --out picture\.apng$/);
      expect(await copied('TypeScript')).toMatch(/numFrames: 9,[^]*await images\[0\]\.save\('picture\.apng'\);/);
      expect(await copied('curl')).toMatch(/ > picture\.apng <<'EOF'\n.*"numFrames":9/);
      await page.close();
    });

    test('a dropped file brings its number of frames back', async () => {
      const page = await made();
      const png = await pictureOf(page, 'Conditional');
      await setFrames(page, 5);
      await drop(page, 'drop.png', png);
      await page.getByText('drop.png: Its settings are here: seed 7.').waitFor();
      await settles(() => frames(page).inputValue(), '9');
      await page.close();
    });

    test('nothing of it was complained about', () => expect(studio.complaints).toEqual([]));
  });
});
