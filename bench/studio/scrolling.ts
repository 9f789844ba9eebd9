/** Whether a full gallery scrolls without standing still. */
import { encodePng } from '../../lib/image/png';
import { launchChromium } from '../../test/browsers';
import type { Figure } from '../figure';
import { Subject } from '../server/subject';

import { pageFolder } from './script';

const pictures = 100;

/** Small pictures, as the embedded model makes them, and large ones. */
export async function scrolling(rounds: number): Promise<Figure[]> {
  const subject = await Subject.start({ page: pageFolder() });
  const browser = await launchChromium();
  try {
    const figures: Figure[] = [];
    for (const size of [28, 1024]) {
      const tasks: number[] = [];
      const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
      const page = await context.newPage();
      await page.goto(`${subject.url}/#gallery`);
      await page.getByText('0 pictures in this gallery.', { exact: false }).waitFor();
      await page.evaluate(fill(size));
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
        // The list grows when its end comes into sight.
        await page.locator('.gallery li').last().scrollIntoViewIfNeeded();
        await page
          .locator('.gallery li')
          .nth(pictures - 1)
          .scrollIntoViewIfNeeded();
        await page.locator('.gallery li').last().locator('img').waitFor();
        tasks.push(...(await page.evaluate<number[]>('window.longTasks')));
      }
      await context.close();
      const longest = Math.max(0, ...tasks);
      figures.push(
        {
          name: `scroll-long-tasks-${size}`,
          value: tasks.length,
          unit: '',
          goal: '0',
          met: tasks.length === 0,
          samples: rounds,
        },
        { name: `scroll-longest-ms-${size}`, value: longest, unit: 'ms', goal: '', met: true, samples: rounds },
      );
    }
    return figures;
  } finally {
    await browser.close();
    await subject.close();
  }
}

/** A program that fills the page's gallery; `longtask` tells of tasks of more than 50 ms. */
function fill(size: number): string {
  const pixels = new Uint8Array(size * size * 3).map((_, at) => (at * 7 + (at >> 9) * 13) % 251);
  const png = Buffer.from(encodePng({ width: size, height: size, channels: 3, pixels })).toString('base64');
  return `new Promise((resolve, reject) => {
    const request = indexedDB.open('detail-guidance', 1);
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const transaction = request.result.transaction(['pictures', 'bytes'], 'readwrite');
      const bytes = new Blob([Uint8Array.from(atob('${png}'), (letter) => letter.charCodeAt(0))], { type: 'image/png' });
      for (let at = 0; at < ${pictures}; at++) {
        const kept = { id: String(at), created: at, bundle: 'embedded', title: 'Picture ' + at, request: {}, seed: at };
        const facts = { width: ${size}, height: ${size}, evaluations: 1, cost: 1, seconds: 1 };
        transaction.objectStore('pictures').put({ ...kept, ...facts });
        transaction.objectStore('bytes').put(bytes, String(at));
      }
      transaction.oncomplete = () => resolve(null);
      transaction.onabort = () => reject(transaction.error);
    };
  })`;
}
