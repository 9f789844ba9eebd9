/** What can happen to a page: it is loaded again, its server goes and comes back, two tabs, a token, a bundle that goes. */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';

import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Request } from 'playwright-core';

import { encodePng } from '../../lib/image/png';
import { inChromium } from '../inBrowser';
import { settles } from '../settles';

import { bundleFolder, embeddedAs } from './bundles';
import { card, goTo, isMade, setSteps, Studio } from './studio';

inChromium('a page’s life', () => {
  let studio: Studio;
  beforeEach(async () => {
    studio = await Studio.open();
  });
  afterEach(() => studio?.close());

  test('loaded again in mid-run, it goes on with what was being made', async () => {
    const page = await studio.page();
    await page.locator('.time-line').waitFor();
    await setSteps(page, 250);
    await page.getByRole('button', { name: 'Make CFG + Detail', exact: true }).click();
    const state = card(page, 'CFG + Detail').locator('.state');
    await state.filter({ hasText: /step \d+ of 250/ }).waitFor();
    await page.reload();
    await state.filter({ hasText: /step \d+ of 250|^[\d.]+ s$/ }).waitFor();
    await isMade(page, 'CFG + Detail');
    await settles(() => page.getByLabel('Steps', { exact: true }).inputValue(), '250');
    // And once more when it is done: the picture is still there.
    await page.reload();
    await isMade(page, 'CFG + Detail');
    await card(page, 'CFG + Detail').locator('img').waitFor();
    await page.close();
  });

  test('loaded again when all is done, it brings nothing back that was deleted, and kept twice is nothing', async () => {
    const page = await studio.page();
    await page.getByRole('button', { name: 'Make CFG', exact: true }).click();
    await isMade(page, 'CFG');
    await goTo(page, 'Gallery');
    await page.locator('.gallery button').click();
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByText('0 pictures in this gallery.', { exact: false }).waitFor();
    await goTo(page, 'Make');
    // What only follows the settings is not kept, not later either.
    await page.getByRole('button', { name: 'Live' }).click();
    await isMade(page, 'CFG + Detail');
    await page.reload();
    for (const title of ['Conditional', 'CFG', 'CFG + Detail']) await isMade(page, title);
    await page.getByRole('button', { name: 'Make Conditional', exact: true }).click();
    await goTo(page, 'Gallery');
    await page.getByText('1 picture in this gallery.', { exact: false }).waitFor();
    expect(await page.locator('.gallery li').allTextContents()).toEqual(['Conditional: T-shirt/top']);
    await page.close();
  });

  test('loaded again when the server has forgotten a picture that was seen: nothing is said of it', async () => {
    const page = await studio.page();
    await page.getByRole('button', { name: 'Make CFG', exact: true }).click();
    await isMade(page, 'CFG');
    await studio.server.close(0);
    studio.server = Studio.serverWith({ port: studio.port });
    await studio.server.listen();
    const asked = page.waitForResponse((response) => response.url().includes('/v1/jobs/') && response.status() === 404);
    await page.reload();
    await asked;
    await page.getByRole('button', { name: 'Make Conditional', exact: true }).click();
    await isMade(page, 'Conditional');
    expect(await card(page, 'CFG').locator('.state, .problem').allTextContents()).toEqual(['']);
    await page.close();
  });

  test('loaded again in mid-run with a large picture to start from, all pictures are gone on with', async () => {
    const page = await studio.page();
    await page.locator('.time-line').waitFor();
    await setSteps(page, 250);
    await page.getByText('Image to image').click();
    // Five of it are more than a browser keeps for a tab.
    const noise = { width: 1000, height: 600, channels: 3 as const, pixels: randomBytes(1000 * 600 * 3) };
    const buffer = Buffer.from(encodePng(noise));
    await page.getByLabel('Start from').setInputFiles({ name: 'start.png', mimeType: 'image/png', buffer });
    await page.getByRole('application', { name: /What is painted anew/ }).waitFor();
    await page.getByLabel('Strength', { exact: true }).fill('1');
    await page.getByRole('button', { name: 'Make 5 pictures' }).click();
    const kept = `JSON.parse(sessionStorage['detail-guidance.runs'] ?? '[]').filter(({ job }) => job !== null).length`;
    await settles(() => page.evaluate(kept), 5);
    await page.reload();
    await isMade(page, 'Conditional');
    expect(await page.evaluate(`JSON.parse(localStorage['detail-guidance.settings']).image`)).toBeNull();
    await page.close();
  });

  test('of the browser’s six connections to the server two are taken by what is being made', async () => {
    const page = await studio.page();
    await page.locator('.time-line').waitFor();
    await setSteps(page, 60);
    const open = new Set<Request>();
    let most = 0;
    page.on('request', (request) => {
      if (!request.url().endsWith('/events')) return;
      open.add(request);
      most = Math.max(most, open.size);
    });
    page.on('requestfinished', (request) => open.delete(request));
    page.on('requestfailed', (request) => open.delete(request));
    await page.getByRole('button', { name: 'Make 5 pictures' }).click();
    for (const title of ['Conditional', 'MA-disrupted', 'Detail Guidance', 'CFG', 'CFG + Detail'])
      await isMade(page, title);
    expect(most).toBeLessThanOrEqual(2);
    await page.close();
  });

  test('the server goes and another one comes in its place: a sentence each time, and the settings stay', async () => {
    const page = await studio.page();
    await page.locator('.time-line').waitFor();
    await page.getByLabel('Seed', { exact: true }).fill('1234');
    await page.getByLabel('Seed', { exact: true }).blur();
    await setSteps(page, 1000);
    await page.getByRole('button', { name: 'Make Conditional', exact: true }).click();
    await card(page, 'Conditional').locator('.state').filter({ hasText: /step/ }).waitFor();
    await studio.server.close(0);
    await page
      .getByText(/The server does not answer\./)
      .first()
      .waitFor();
    studio.server = Studio.serverWith({ port: studio.port });
    await studio.server.listen();
    // As the server says that goes, or the one that does not know it.
    await page.getByText(/^The server stopped before the job ended\.$|Make it again\.$/).waitFor();
    await page.locator('.notice').waitFor({ state: 'detached' });
    await settles(() => page.getByLabel('Seed', { exact: true }).inputValue(), '1234');
    await setSteps(page, 5);
    await page.getByRole('button', { name: 'Make Conditional', exact: true }).click();
    await isMade(page, 'Conditional');
    await page.close();
  });

  test('a bundle that the server does not offer any more is said, and another one is one click away', async () => {
    const page = await studio.page();
    await page.locator('.time-line').waitFor();
    await page.evaluate(
      `{ const settings = JSON.parse(sessionStorage['detail-guidance.settings']); sessionStorage['detail-guidance.settings'] = JSON.stringify({ ...settings, bundle: 'gone', seed: 55 }); }`,
    );
    await page.reload();
    await page.getByText('The server does not offer the bundle gone any more.').waitFor();
    await settles(() => page.getByRole('button', { name: /^Make 5/ }).isDisabled(), true);
    await page.getByRole('button', { name: 'Use embedded' }).click();
    await settles(() => page.getByLabel('Seed', { exact: true }).inputValue(), '55');
    await page.getByRole('button', { name: 'Make Conditional', exact: true }).click();
    await isMade(page, 'Conditional');
    await page.close();
  });

  test('another server with another bundle at the same address: said in an old tab, and not missed in a new one', async () => {
    const folder = bundleFolder();
    const other = embeddedAs(folder, 'other', () => ({ name: 'other', defaults: { numInferenceSteps: 9 } }));
    try {
      const page = await studio.page();
      await page.locator('.time-line').waitFor();
      await setSteps(page, 17);
      await studio.server.close(0);
      studio.server = Studio.serverWith({ port: studio.port, bundles: [other] });
      await studio.server.listen();
      // It was too quick to be noticed: the next change tells.
      await page.getByLabel('Class', { exact: true }).selectOption('Bag');
      await page.getByText('The server does not offer the bundle embedded any more.').waitFor();
      const next = await studio.visit(await page.context().newPage());
      await next.locator('.time-line').waitFor();
      await settles(() => next.locator('.notice').count(), 0);
      await settles(() => next.getByLabel('Steps', { exact: true }).inputValue(), '9');
      await page.getByRole('button', { name: 'Use other' }).click();
      await page.getByRole('button', { name: 'Make Conditional', exact: true }).click();
      await isMade(page, 'Conditional');
      await page.context().close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('a mask of another size is scaled, and that is said', async () => {
    const page = await studio.page();
    await page.locator('.time-line').waitFor();
    await page.evaluate(
      `{ const settings = JSON.parse(sessionStorage['detail-guidance.settings']); settings.detail.tokens = { rows: 2, columns: 2, cells: [1, 0, 0, 0] }; sessionStorage['detail-guidance.settings'] = JSON.stringify(settings); }`,
    );
    await page.reload();
    await page.getByText(/of 7 × 7 chosen.*Painted for 2 × 2, and scaled\./).waitFor();
    await page.locator('.time-line').waitFor();
    await page.getByRole('button', { name: 'Make Detail Guidance', exact: true }).click();
    await isMade(page, 'Detail Guidance');
    await page.close();
  });

  test('two tabs have settings of their own and both get their pictures', async () => {
    const one = await studio.page();
    await one.locator('.time-line').waitFor();
    const other = await studio.visit(await one.context().newPage());
    await other.locator('.time-line').waitFor();
    await one.getByLabel('Class', { exact: true }).selectOption('Bag');
    await other.getByLabel('Class', { exact: true }).selectOption('Dress');
    await Promise.all([one, other].map((page) => page.getByRole('button', { name: 'Make 5 pictures' }).click()));
    for (const page of [one, other]) await isMade(page, 'CFG + Detail');
    await one.reload();
    await other.reload();
    await settles(() => one.getByLabel('Class', { exact: true }).inputValue(), '8');
    await settles(() => other.getByLabel('Class', { exact: true }).inputValue(), '3');
    await one.close();
    await other.close();
  });

  test('settings that another program wrote are as if there were none', async () => {
    const page = await studio.page();
    await page.locator('.time-line').waitFor();
    for (const text of ['{"detail": 3, "cfg": null}', 'x']) {
      await page.evaluate(`sessionStorage['detail-guidance.settings'] = ${JSON.stringify(text)}`);
      await page.reload();
      await page.locator('.time-line').waitFor();
    }
    expect(studio.complaints).toEqual([]);
    await page.close();
  });
});

inChromium('a server with a token', () => {
  test('asks for it, takes it from the address, and keeps it out of the address', async () => {
    const studio = await Studio.open({ token: 'open sesame' });
    try {
      const page = await studio.page();
      await page.getByLabel('Token').fill('wrong token');
      await page.getByRole('button', { name: 'Enter' }).click();
      await page.getByLabel('Token').fill('open sesame');
      await page.getByRole('button', { name: 'Enter' }).click();
      await page.getByRole('button', { name: 'Make Conditional', exact: true }).click();
      await isMade(page, 'Conditional');
      await page.close();
      const other = await studio.page({ address: '#token=open%20sesame' });
      await other.locator('.time-line').waitFor();
      expect(other.url()).not.toContain('sesame');
      await other.close();
    } finally {
      await studio.close();
    }
  });
});
