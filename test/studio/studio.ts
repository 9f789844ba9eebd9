/** The studio as its tests use it: the built page on a server of its own, in a browser. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Browser, BrowserContextOptions, Page } from 'playwright-core';

import { packageRoot } from '../../lib/files/packageRoot';
import { createServer, type Server, type ServerOptions } from '../../lib/server';
import { launchChromium } from '../../scripts/browsers.cjs';
import { patience } from '../settles';

export const pageFolder = join(packageRoot(), 'dist', 'studio');

export class Studio {
  /** What the browser complained about: errors, and whatever the content security policy refused. */
  readonly complaints: string[] = [];

  private constructor(
    readonly browser: Browser,
    public server: Server,
    readonly url: string,
  ) {}

  static async open(options: ServerOptions = {}, launch: () => Promise<Browser> = launchChromium): Promise<Studio> {
    if (!existsSync(join(pageFolder, 'index.html')))
      throw new Error(`${pageFolder} is missing; npm run build makes it`);
    const server = Studio.serverWith(options);
    const url = await server.listen();
    return new Studio(await launch(), server, url);
  }

  static serverWith(options: ServerOptions): Server {
    return createServer({ port: 0, logLevel: 'silent', maxSteps: 1000, page: pageFolder, ...options });
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** A tab of a browser that has never been here, unless it is of a context that has. */
  async page(options: BrowserContextOptions & { address?: string } = {}): Promise<Page> {
    const { address = '', ...context } = options;
    const page = await (
      await this.browser.newContext({ viewport: { width: 1280, height: 900 }, ...context })
    ).newPage();
    return this.visit(page, address);
  }

  async visit(page: Page, address = ''): Promise<Page> {
    page.setDefaultTimeout(patience);
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      // A server that is gone is what some of the tests are about.
      if (message.type() === 'error' && !/Failed to load resource/.test(message.text()))
        this.complaints.push(message.text());
    });
    await page.goto(`${this.url}/${address}`);
    return page;
  }

  async close(): Promise<void> {
    await this.browser.close();
    await this.server.close(0);
  }
}

/** The card of a view, by its title. */
export const card = (page: Page, title: string) =>
  page.locator('.card').filter({ has: page.getByRole('button', { name: title, exact: true }) });

/** Goes to a part of the page, and waits until it stands there: what the address says is drawn a moment later. */
export async function goTo(page: Page, name: string): Promise<void> {
  await page.getByRole('link', { name, exact: true }).click();
  await page.locator('nav a[aria-current=page]').getByText(name, { exact: true }).waitFor();
}

/** Waits until a view has its picture. */
export async function isMade(page: Page, title: string): Promise<void> {
  await card(page, title).locator('.state').filter({ hasText: / s$/ }).waitFor();
}

export async function setSteps(page: Page, steps: number): Promise<void> {
  const field = page.getByLabel('Steps', { exact: true });
  // As it is typed: what a program fills in is no change to Firefox.
  await field.fill('');
  await field.pressSequentially(String(steps));
  await field.press('Tab');
}

/** Begins a sweep of many steps, and waits for its first picture. */
export async function beginSweep(page: Page): Promise<void> {
  await page.locator('.time-line').waitFor();
  await setSteps(page, 250);
  await goTo(page, 'Compare');
  await page.getByRole('button', { name: 'Sweep' }).click();
  await page.getByRole('button', { name: /^Make \d+ pictures/ }).click();
  await page.locator('.sheet img').first().waitFor();
}

/** Paints the middle row of tokens of the embedded model with the mouse, and the first token by the keyboard. */
export async function paintMask(page: Page): Promise<void> {
  // Fields that come with the first plan would move it away from under the mouse.
  await page.locator('.time-line').waitFor();
  await page.getByText('Local Detail Guidance').click();
  const mask = page.getByRole('application', { name: /Tokens that are disrupted/ });
  await mask.scrollIntoViewIfNeeded();
  const box = (await mask.boundingBox())!;
  await page.mouse.move(box.x + box.width * 0.1, box.y + box.height * 0.5);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.9, box.y + box.height * 0.5, { steps: 12 });
  await page.mouse.up();
  await page.getByText('7 of 7 × 7 chosen').waitFor();
  await page
    .locator('.lane-names')
    .getByText(/7 tokens/)
    .waitFor();
  await mask.focus();
  await page.keyboard.press(' ');
  await page.getByText('8 of 7 × 7 chosen').waitFor();
}

/** The picture's bytes. The page's own policy lets nobody read them: the page needs `bypassCSP`. */
export async function pictureOf(page: Page, title: string): Promise<Buffer> {
  const address = await card(page, title).locator('img').getAttribute('src');
  const text = await page.evaluate(
    `fetch(${JSON.stringify(address)}).then((answer) => answer.arrayBuffer()).then((bytes) => btoa(Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join('')))`,
  );
  return Buffer.from(text as string, 'base64');
}

/** What axe-core finds that is more than minor. The page's own policy lets no other script in: the page needs `bypassCSP`. */
export async function faultsIn(page: Page): Promise<string[]> {
  await page.evaluate(readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8'));
  return page.evaluate(`axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations
    .filter(({ impact }) => impact !== 'minor')
    .map(({ id, nodes }) => id + ': ' + nodes.map(({ target }) => target).join(', ')))`);
}
