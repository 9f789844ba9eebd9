/** What people do by mistake, and what happens beside the page: none of it loses anything, and each is said. */
import { rmSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';

import { encodePng } from '../../lib/image/png';
import { clipped } from '../../studio/src/state/sound';
import { launchChromium } from '../../scripts/browsers.cjs';
import { inChromium } from '../inBrowser';
import { settles } from '../settles';

import { bundleFolder, embeddedAs } from './bundles';
import { drop, pngSaying } from './drop';
import { beginSweep, card, goTo, isMade, setSteps, Studio } from './studio';

const plain = encodePng({ width: 2, height: 2, channels: 1, pixels: new Uint8Array(4) });

/** What is dragged or pasted besides one file. */
async function bring(page: Page, event: 'drop' | 'paste', make: string, onto = 'document.body'): Promise<boolean> {
  return page.evaluate(`(() => {
    const data = new DataTransfer();
    const file = (name) => new File([new Uint8Array([1, 2, 3])], name);
    ${make};
    const Kind = ${event === 'drop' ? 'DragEvent' : 'ClipboardEvent'};
    const told = { dataTransfer: data, clipboardData: data, bubbles: true, cancelable: true };
    return ${onto}.dispatchEvent(new Kind('${event}', told));
  })()`);
}

inChromium('mishaps', () => {
  let studio: Studio;
  const folder = bundleFolder();
  beforeAll(async () => {
    const labels = Array.from({ length: 10 }, (_, at) => `kind ${at}`);
    const other = embeddedAs(folder, 'other', ({ conditioning }) => ({
      name: 'other',
      conditioning: { ...conditioning, labels },
    }));
    const gone = embeddedAs(folder, 'gone', () => ({ name: 'gone' }));
    studio = await Studio.open({ bundles: ['embedded', other, gone] });
  });
  afterAll(async () => {
    await studio?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const jobs = async (state: string): Promise<unknown[]> => {
    const answer = await fetch(`${studio.url}/v1/jobs?state=${state}`);
    return ((await answer.json()) as { jobs: unknown[] }).jobs;
  };

  test('a link, a text, several files, a pasted file', async () => {
    const page = await studio.page();
    await page.locator('.time-line').waitFor();
    // The browser would open the link in place of the page.
    expect(await bring(page, 'drop', "data.setData('text/uri-list', 'https://example.org/')")).toBe(false);
    await page.getByText('What was dropped is no file.').waitFor();
    await bring(page, 'drop', "data.items.add(file('one.gif')); data.items.add(file('two.txt'))");
    await page.getByText('Of 2 files one.gif is taken').waitFor();
    await page.getByText('one.gif is no PNG.').waitFor();
    await bring(page, 'paste', "data.items.add(file('three.pdf'))");
    await page.getByText('three.pdf is no PNG.').waitFor();
    // A pasted text is nobody's business but the field's.
    expect(await bring(page, 'paste', "data.setData('text/plain', 'words')")).toBe(true);
    // Office programs put a picture of the words beside them; where no text is written the picture is meant.
    const rich = "data.setData('text/plain', '12'); data.items.add(file('words.png'))";
    await bring(page, 'paste', rich, "document.querySelector('input[inputmode=numeric]')");
    // It would have been answered before what is brought after it.
    await bring(page, 'paste', "data.items.add(file('four.pdf'))");
    await page.getByText('four.pdf is no PNG.').waitFor();
    expect(await page.getByText('words.png').count()).toBe(0);
    await bring(page, 'paste', rich);
    await page.getByText('words.png is no PNG.').waitFor();
    expect(new URL(page.url()).pathname).toBe('/');
    await page.context().close();
  });

  test('a PNG of another model with the same name', async () => {
    const page = await studio.page();
    await page.locator('.time-line').waitFor();
    const bundle = { name: 'fashion-mnist-dit', transformer: 'f'.repeat(64) };
    const made = { format: 1, version: '0.1.0', bundle, options: { classLabel: 3, seed: 5 } };
    await drop(page, 'cousin.png', pngSaying(JSON.stringify(made)));
    await page.getByText('cousin.png: It was made by other weights than those of embedded').waitFor();
    await settles(() => page.getByLabel('Class', { exact: true }).inputValue(), '3');
    await page.context().close();
  });

  test('a file before the server has answered is not said to be of another bundle', async () => {
    const page = await studio.browser.newPage();
    await page.route('**/v1/bundles', (route) => route.abort());
    await studio.visit(page);
    await drop(page, 'early.png', plain);
    await page.getByText('early.png was not made by detail-guidance').waitFor();
    await drop(
      page,
      'ours.png',
      pngSaying(JSON.stringify({ format: 1, version: '1', bundle: { name: 'x' }, options: {} })),
    );
    await page.getByText('ours.png is not taken: the server has not answered yet.').waitFor();
    await page.close();
  });

  test('a bundle whose folder is removed while the page is open', async () => {
    const page = await studio.page();
    await page.locator('.time-line').waitFor();
    rmSync(`${folder}/gone`, { recursive: true });
    await page.getByLabel('Bundle').selectOption('gone');
    await page
      .locator('.problem')
      .filter({ hasText: /gone|bundle/ })
      .first()
      .waitFor();
    await page.getByLabel('Bundle').selectOption('embedded');
    await page.getByRole('button', { name: 'Make Conditional', exact: true }).click();
    await isMade(page, 'Conditional');
    await page.context().close();
  });

  test('the pictures of a sweep are the sweep’s bundle’s, whichever is chosen by then', async () => {
    const page = await studio.page({ address: '#compare' });
    await page.getByRole('button', { name: 'Sweep' }).click();
    await page.getByLabel('Values').first().fill('0.5');
    await page.getByLabel('Down').selectOption('');
    await page.getByRole('button', { name: 'Make the picture' }).click();
    await page.getByText('1 picture', { exact: true }).waitFor();
    await goTo(page, 'Make');
    await page.getByLabel('Bundle').selectOption('other');
    await goTo(page, 'Compare');
    await page.locator('.sheet button').click();
    await settles(() => page.getByLabel('Bundle').inputValue(), 'embedded');
    await settles(() => page.getByLabel('Detail scale w', { exact: true }).inputValue(), '0.5');
    await page.context().close();
  });

  test('a picture is kept with what it was made by, whatever is chosen by then', async () => {
    const page = await studio.page();
    await page.locator('.time-line').getByText('1.13×').waitFor();
    await setSteps(page, 1000);
    await page.getByRole('button', { name: 'Make CFG + Detail', exact: true }).click();
    await page.locator('.card .state').filter({ hasText: /step/ }).waitFor();
    await page.getByLabel('Layer', { exact: true }).selectOption('0');
    await page.locator('.time-line').getByText('1.44×').waitFor();
    await page.getByLabel('Bundle').selectOption('other');
    await goTo(page, 'Gallery');
    await page.locator('.gallery button').click();
    await page.getByRole('heading', { name: 'CFG + Detail: T-shirt/top' }).waitFor();
    await page.getByText('1.13× plain CFG').waitFor();
    await page.context().close();
  });

  test('a queue that is full is waited for, and who is stopped meanwhile keeps nobody waiting', async () => {
    const page = await studio.page();
    await page.locator('.time-line').waitFor();
    await page.getByRole('button', { name: 'Make CFG', exact: true }).click();
    await isMade(page, 'CFG');
    await page.getByLabel('Class', { exact: true }).selectOption('Bag');
    const answer = {
      status: 429,
      headers: { 'Retry-After': '600' },
      json: { error: { code: 'QUEUE_FULL', message: '' } },
    };
    const refused = page.waitForResponse((response) => response.status() === 429);
    await page.route('**/v1/jobs', (route) => route.fulfill(answer));
    await page.getByRole('button', { name: 'Make 5 pictures' }).click();
    await refused;
    await settles(() => page.locator('.card .state').allTextContents(), Array(5).fill('waits'));
    // The picture before stays in sight, and is of what it was of.
    await page.getByRole('img', { name: 'CFG: T-shirt/top, seed 7', exact: true }).waitFor();
    await page.unroute('**/v1/jobs');
    await page.getByRole('button', { name: 'Stop', exact: true }).click();
    await page.getByRole('button', { name: 'Make CFG', exact: true }).click();
    await isMade(page, 'CFG');
    await page.context().close();
  });

  test('what the server warns of is said beside the picture', async () => {
    const page = await studio.page();
    await page.route('**/v1/jobs/*/events', async (route) => {
      const response = await route.fetch();
      const warning = { code: 'PROMPT_TRUNCATED', message: 'The prompt is cut.' };
      const event = `id: 1\nevent: warning\ndata: ${JSON.stringify(warning)}\n\n`;
      await route.fulfill({ response, body: event + (await response.text()) });
    });
    await page.getByRole('button', { name: 'Make CFG', exact: true }).click();
    await card(page, 'CFG').getByText('The prompt is cut.').waitFor();
    await goTo(page, 'Compare');
    await page.getByRole('button', { name: 'Make both' }).click();
    await settles(() => page.locator('figure').getByText('The prompt is cut.').count(), 2);
    await page.context().close();
  });

  test('a page that is closed in mid-sweep leaves no work behind', async () => {
    const page = await studio.page();
    await beginSweep(page);
    await page.reload();
    await page.getByRole('button', { name: 'Make both' }).waitFor();
    for (let looks = 0; looks < 100 && (await jobs('running')).length + (await jobs('queued')).length > 0; looks++)
      await page.waitForTimeout(100);
    expect([await jobs('running'), await jobs('queued')]).toEqual([[], []]);
    await page.context().close();
  });

  test('the browser’s storage is cleared from elsewhere: what is made next is kept', async () => {
    const page = await studio.page();
    await page.getByRole('button', { name: 'Make Conditional', exact: true }).click();
    await isMade(page, 'Conditional');
    await goTo(page, 'Gallery');
    await page.getByText('1 picture in this gallery.', { exact: false }).waitFor();
    const session = await page.context().newCDPSession(page);
    await session.send('Storage.clearDataForOrigin', { origin: studio.url, storageTypes: 'all' });
    await goTo(page, 'Make');
    await page.getByRole('button', { name: 'Make CFG', exact: true }).click();
    await isMade(page, 'CFG');
    await goTo(page, 'Gallery');
    await page.getByRole('button', { name: /CFG: / }).waitFor();
    await page.getByText('1 picture in this gallery.', { exact: false }).waitFor();
    await settles(() => page.locator('.notice').count(), 0);
    await page.context().close();
  });

  test('presets that two tabs save are both there', async () => {
    const one = await studio.page();
    const two = await studio.visit(await one.context().newPage());
    for (const [page, name] of [
      [one, 'soft'],
      [two, 'hard'],
    ] as const) {
      await page.getByText('Presets').click();
      await page.getByLabel('Save as').fill(name);
      await page.getByRole('button', { name: 'save', exact: true }).click();
    }
    for (const page of [one, two]) {
      await page.locator('option', { hasText: 'soft' }).waitFor({ state: 'attached' });
      await page.locator('option', { hasText: 'hard' }).waitFor({ state: 'attached' });
    }
    await one.reload();
    await one.getByText('Presets').click();
    await settles(
      () => one.getByLabel('Take').locator('option').allTextContents(),
      ['the bundle’s own', 'soft', 'hard'],
    );
    await one.context().close();
  });

  test('at twice the size nothing is wider than the page', async () => {
    const page = await studio.page({ viewport: { width: 640, height: 450 }, deviceScaleFactor: 2 });
    for (const name of ['Make', 'Compare', 'Look inside', 'Gallery']) {
      await goTo(page, name);
      expect([name, await page.evaluate('document.documentElement.scrollWidth')]).toEqual([name, 640]);
    }
    await page.context().close();
  });

  test('the browser had nothing to complain about', () => {
    expect(studio.complaints).toEqual([]);
  });
});

inChromium('who may come in', () => {
  test('a wrong token is said to be wrong, whatever letters it has', async () => {
    const studio = await Studio.open({ token: 'open sesame' });
    try {
      const page = await studio.page();
      for (const wrong of ['wrong token', '開けゴマ開けゴマ😀']) {
        await page.getByLabel('Token').fill(wrong);
        await page.getByRole('button', { name: 'Enter' }).click();
        await page.getByText('That is not its token.').waitFor();
      }
      await page.getByLabel('Token').fill('open sesame');
      await page.getByRole('button', { name: 'Enter' }).click();
      await page.locator('.time-line').waitFor();
      await page.getByLabel('Class', { exact: true }).selectOption('Bag');
      // Another server with another token takes its place: what is asked next is the token.
      await studio.server.close(0);
      studio.server = Studio.serverWith({ port: studio.port, token: 'another one' });
      await studio.server.listen();
      // A page that has noticed that nobody answered has asked, and shows no settings any more.
      const select = page.getByLabel('Class', { exact: true }).selectOption('Shirt', { timeout: 3000 });
      const chosen = await select.then(
        () => '6',
        () => '8',
      );
      await page.getByText('This server asks for its token').waitFor();
      await page.getByLabel('Token').fill('another one');
      await page.getByRole('button', { name: 'Enter' }).click();
      await page.locator('.time-line').waitFor();
      await settles(() => page.getByLabel('Class', { exact: true }).inputValue(), chosen);
    } finally {
      await studio.close();
    }
  });

  test('a server that is reached by another name says what it needs', async () => {
    // As behind a proxy that keeps the name it was asked by.
    const name = 'elsewhere.example';
    const studio = await Studio.open({}, () => launchChromium(`--host-resolver-rules=MAP ${name} 127.0.0.1`));
    try {
      const page = await studio.browser.newPage();
      await page.goto(`http://${name}:${studio.port}/`);
      await page.getByText('This server answers to its own machine alone').waitFor();
      await settles(() => page.getByLabel('Token').count(), 0);
    } finally {
      await studio.close();
    }
  });
});

describe('words that are too long', () => {
  test('no letter is cut in half', () => {
    for (let before = 0; before < 4; before++)
      expect(clipped('x'.repeat(before) + '😀'.repeat(60))).not.toMatch(/\p{Surrogate}/u);
    expect(clipped('short 😀')).toBe('short 😀');
  });
});
