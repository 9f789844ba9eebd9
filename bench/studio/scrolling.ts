/** Whether a full gallery scrolls without standing still. */
import { encodePng } from '../../lib/image/png';
import { launchChromium } from '../../test/browsers';
import { fillGallery } from '../../test/studio/fillGallery';
import type { Figure } from '../figure';
import { Subject } from '../server/subject';

import { pageFolder } from './script';

/** Small pictures, as the embedded model makes them, large ones, and many. */
const galleries = [
  { name: '28', size: 28, pictures: 100 },
  { name: '1024', size: 1024, pictures: 100 },
  { name: '5000-pictures', size: 28, pictures: 5000 },
];

export async function scrolling(rounds: number): Promise<Figure[]> {
  const subject = await Subject.start({ page: pageFolder() });
  const browser = await launchChromium();
  try {
    const figures: Figure[] = [];
    for (const { name, size, pictures } of galleries) {
      const tasks: number[] = [];
      const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
      const page = await context.newPage();
      await page.goto(`${subject.url}/#gallery`);
      await page.getByText('0 pictures in this gallery.', { exact: false }).waitFor();
      await page.evaluate(fillGallery(pictures, noise(size), size));
      for (let round = 0; round < rounds; round++) {
        // Nothing is in memory any more.
        await page.reload();
        await page.getByText(`${pictures} pictures in this gallery.`, { exact: false }).waitFor();
        await page.evaluate(`window.longTasks = [];
          new PerformanceObserver((list) => {
            for (const { duration } of list.getEntries()) window.longTasks.push(duration);
          }).observe({ type: 'longtask' })`);
        await page.mouse.move(640, 500);
        for (let turn = 0; turn < 30; turn++) {
          await page.mouse.wheel(0, 150);
          await page.waitForTimeout(16);
        }
        // And to the end in one go.
        await page.mouse.wheel(0, 1e7);
        await page
          .locator('.gallery li')
          .filter({ hasText: /^Picture 0$/ })
          .locator('img')
          .waitFor();
        tasks.push(...(await page.evaluate<number[]>('window.longTasks')));
      }
      await context.close();
      const longest = Math.max(0, ...tasks);
      figures.push(
        {
          name: `scroll-long-tasks-${name}`,
          value: tasks.length,
          unit: '',
          goal: '0',
          met: tasks.length === 0,
          samples: rounds,
        },
        { name: `scroll-longest-ms-${name}`, value: longest, unit: 'ms', goal: '', met: true, samples: rounds },
      );
    }
    return figures;
  } finally {
    await browser.close();
    await subject.close();
  }
}

/** A picture of noise, which no compression makes small. */
function noise(size: number): Uint8Array {
  const pixels = new Uint8Array(size * size * 3).map((_, at) => (at * 7 + (at >> 9) * 13) % 251);
  return encodePng({ width: size, height: size, channels: 3, pixels });
}
