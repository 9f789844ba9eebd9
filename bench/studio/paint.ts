/** How long it takes until there is something to see. */
import { launchChromium } from '../../scripts/browsers.cjs';
import type { Figure } from '../figure';
import { Subject } from '../server/subject';
import { median, quantile } from '../statistics';

import { pageFolder } from './script';

/** A browser that has never been here, and a server that has made a picture. */
export async function firstPaint(rounds: number): Promise<Figure[]> {
  const subject = await Subject.start({ page: pageFolder() });
  const browser = await launchChromium();
  try {
    await subject.picture({ classLabel: 0, numInferenceSteps: 2 });
    const times: number[] = [];
    for (let round = -1; round < rounds; round++) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
      const page = await context.newPage();
      await page.goto(`${subject.url}/`);
      // The page is made by its script: nothing is painted before there is content.
      const painted = await page.evaluate<number>(`new Promise((resolve) =>
        new PerformanceObserver((list) => {
          for (const { name, startTime } of list.getEntries()) if (name === 'first-contentful-paint') resolve(startTime);
        }).observe({ type: 'paint', buffered: true }))`);
      // The first one starts the browser's own processes.
      if (round >= 0) times.push(painted);
      await context.close();
    }
    const value = median(times);
    return [
      {
        name: 'first-paint-ms',
        value,
        unit: 'ms',
        quartiles: [quantile(times, 0.25), quantile(times, 0.75)],
        goal: '<= 1000',
        met: value <= 1000,
        samples: rounds,
      },
    ];
  } finally {
    await browser.close();
    await subject.close();
  }
}
