/** Whether a full gallery scrolls without standing still. */
import type { Browser, Page } from 'playwright-core';

import { encodePng } from '../../lib/image/png';
import { launchChromium } from '../../scripts/browsers.cjs';
import { fillGallery } from '../../test/studio/fillGallery';
import type { Figure } from '../figure';
import { Subject } from '../server/subject';

import { pageFolder } from './script';
import { tasksDuring, type Task } from './tasks';

interface Gallery {
  name: string;
  /** Of a picture's side. */
  size: number;
  pictures: number;
}

/** Small pictures, as the embedded model makes them, large ones, and many. */
const galleries: Gallery[] = [
  { name: '28', size: 28, pictures: 100 },
  { name: '1024', size: 1024, pictures: 100 },
  { name: '5000-pictures', size: 28, pictures: 5000 },
];

/** A task that is longer is felt, in milliseconds. */
const long = 50;

export async function scrolling(rounds: number): Promise<Figure[]> {
  const subject = await Subject.start({ page: pageFolder() });
  const browser = await launchChromium();
  try {
    const figures: Figure[] = [];
    for (const gallery of galleries) figures.push(...(await ofGallery(gallery, rounds, browser, subject.url)));
    figures.push(...(await ofPlainPage(rounds, browser)));
    return figures;
  } finally {
    await browser.close();
    await subject.close();
  }
}

async function ofGallery({ name, size, pictures }: Gallery, rounds: number, browser: Browser, url: string) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await page.goto(`${url}/#gallery`);
  await page.getByText('0 pictures in this gallery.', { exact: false }).waitFor();
  await page.evaluate(fillGallery(pictures, noise(size), size));
  const tasks: Task[] = [];
  for (let round = 0; round < rounds; round++) {
    // Nothing is in memory any more.
    await page.reload();
    await page.getByText(`${pictures} pictures in this gallery.`, { exact: false }).waitFor();
    const last = page.locator('.gallery li').filter({ hasText: /^Picture 0$/ });
    tasks.push(...(await tasksDuring(page, () => scroll(page, () => last.locator('img').waitFor()))));
  }
  await page.close();
  return figuresOf(name, tasks, rounds, true);
}

/** What the machine and the browser do by themselves: a page that has a hundred images and no script. */
async function ofPlainPage(rounds: number, browser: Browser) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  const source = `data:image/png;base64,${Buffer.from(noise(28)).toString('base64')}`;
  const images = Array.from({ length: 100 }, () => `<img width="140" height="190" src="${source}">`).join('');
  const tasks: Task[] = [];
  for (let round = 0; round < rounds; round++) {
    await page.setContent(images);
    tasks.push(...(await tasksDuring(page, () => scroll(page, () => page.waitForTimeout(300)))));
  }
  await page.close();
  return figuresOf('plain-page', tasks, rounds, false);
}

async function scroll(page: Page, arrive: () => Promise<void>): Promise<void> {
  await page.mouse.move(640, 500);
  for (let turn = 0; turn < 30; turn++) {
    await page.mouse.wheel(0, 150);
    await page.waitForTimeout(16);
  }
  // And to the end in one go.
  await page.mouse.wheel(0, 1e7);
  await arrive();
}

function figuresOf(name: string, tasks: readonly Task[], samples: number, isJudged: boolean): Figure[] {
  const over = tasks.filter(({ wall }) => wall > long).length;
  const longest = (of: keyof Task) => tasks.reduce((most, task) => Math.max(most, task[of]), 0);
  const goal = (text: string) => (isJudged ? text : '');
  return [
    {
      name: `scroll-processor-ms-${name}`,
      value: longest('processor'),
      unit: 'ms',
      goal: goal(`<= ${long}`),
      met: longest('processor') <= long || !isJudged,
      samples,
    },
    {
      name: `scroll-long-tasks-${name}`,
      value: over,
      unit: '',
      goal: goal('0'),
      met: over === 0 || !isJudged,
      samples,
    },
    { name: `scroll-longest-ms-${name}`, value: longest('wall'), unit: 'ms', goal: '', met: true, samples },
  ];
}

/** A picture of noise, which no compression makes small. */
function noise(size: number): Uint8Array {
  const pixels = new Uint8Array(size * size * 3).map((_, at) => (at * 7 + (at >> 9) * 13) % 251);
  return encodePng({ width: size, height: size, channels: 3, pixels });
}
