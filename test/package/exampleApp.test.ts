/** The desktop example without Electron: its page with a bridge that is pretended, and its main process with windows that are. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import type { Browser } from 'playwright-core';

import { packageRoot } from '../../lib/files/packageRoot';
import { launchChromium } from '../../scripts/browsers.cjs';
import { inChromium } from '../inBrowser';
import { settles } from '../settles';

const example = join(packageRoot(), 'examples', 'electron-app');

inChromium('the page of the example', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser?.close());

  test('a picture is saved under its own name, whatever is chosen by then, and not in place of another one', async () => {
    const page = await browser.newPage();
    const types = { html: 'text/html', js: 'text/javascript', css: 'text/css' };
    await page.route('http://app/**', async (route) => {
      const file = new URL(route.request().url()).pathname;
      const contentType = types[file.split('.').pop() as keyof typeof types];
      await route.fulfill({ contentType, body: await readFile(join(example, 'page', file)) });
    });
    await page.addInitScript(`
      const ok = (value) => Promise.resolve({ ok: true, value });
      window.saved = [];
      window.detailGuidance = {
        info: () => ok({ classes: ['Bag', 'Sneaker'], name: 'model', device: 'cpu' }),
        generate: ({ seed }) => ({ outcome: ok({ images: [{ png: new Uint8Array(3), seed }], evaluations: 1 }) }),
        openPicture: () => ok({ name: 'other.png', bytes: new Uint8Array(5), options: null }),
        savePicture: (png, name) => (window.saved.push([png.length, name]), ok(name)),
      };
    `);
    await page.goto('http://app/index.html');
    await page.getByText('model on cpu').waitFor();
    await page.getByRole('button', { name: 'Make a picture' }).click();
    await page.getByText('done: 1 evaluations').waitFor();
    await page.getByLabel('Class').selectOption('Bag');
    await page.getByRole('button', { name: 'Save…' }).click();
    await page.getByText('saved Sneaker-7.png').waitFor();
    expect(await page.evaluate('window.saved')).toEqual([[3, 'Sneaker-7.png']]);
    await page.getByRole('button', { name: 'Open…' }).click();
    await page.getByText('other.png was made by another program').waitFor();
    await settles(() => page.getByRole('button', { name: 'Save…' }).isDisabled(), true);
    await page.close();
  });
});

test('a window of the studio that is closed while its server starts is left alone, and the next one is shown', async () => {
  const windows: Window[] = [];
  class Window {
    isGone = false;
    readonly addresses: string[] = [];
    readonly closings: (() => void)[] = [];
    readonly webContents = { on: () => undefined, setWindowOpenHandler: () => undefined };
    constructor() {
      windows.push(this);
    }
    on(_event: 'closed', closing: () => void) {
      this.closings.push(closing);
    }
    isDestroyed = () => this.isGone;
    loadURL(address: string) {
      if (this.isGone) throw new TypeError('Object has been destroyed');
      this.addresses.push(address);
      return Promise.resolve();
    }
  }
  let start = (_server: object) => {};
  const server = new Promise<object>((resolve) => (start = resolve));
  const app = { getPath: () => '/nowhere' };
  const protocol = { handle: () => undefined };
  jest.doMock('electron', () => ({ app, protocol, BrowserWindow: Window, dialog: {} }), { virtual: true });
  const parts = { offerGallery: () => () => undefined, startServer: () => server };
  const files = { studioFolder: () => '', studioPreloadFile: () => '' };
  jest.doMock('detail-guidance/electron', () => ({ ...parts, ...files }), { virtual: true });
  const { openStudio } = jest.requireActual<{ openStudio: () => Promise<void> }>(join(example, 'studio.js'));
  const opening = openStudio();
  windows[0]!.isGone = true;
  windows[0]!.closings.forEach((closing) => closing());
  start({ showProgress: () => undefined });
  await opening;
  await openStudio();
  expect(windows.map(({ addresses }) => addresses)).toEqual([[], ['studio://app/']]);
});
