'use strict';
// `npm run pictures:studio`: the README's two pictures of the studio, taken anew with the built page.
// They show numbers of seconds, so no two runs give the same bytes.

const path = require('node:path');
const { root } = require('../setup/cache.cjs');
const { launchChromium } = require('./browsers.cjs');

const images = path.join(root, 'docs', 'images');

/** Heights at which nothing is cut in two. @type {Record<string, number>} */
const heights = { make: 1220, inside: 880 };

/** The first page, when all views are made and the chart is drawn. @param {import('playwright-core').Page} page */
async function make(page) {
  await page.getByLabel('Class', { exact: true }).selectOption('Ankle boot');
  await page.locator('.channel-chart svg image').waitFor();
  await page.getByRole('button', { name: 'Make 5 pictures' }).click();
  await page.locator('.card .state').filter({ hasText: / s$/ }).nth(4).waitFor();
}

/** The third page, at a step in the middle. @param {import('playwright-core').Page} page */
async function inside(page) {
  await page.getByRole('link', { name: 'Look inside' }).click();
  await page.getByRole('button', { name: 'Look inside' }).click();
  await page.locator('.map-layers button').nth(7).waitFor();
  await page.getByRole('img', { name: /disrupted after layer/ }).waitFor();
  await page.getByRole('slider', { name: /^Step/ }).first().fill('12');
  // Of the pictures of every step the last one that was asked for.
  await page.locator('.map-large img').waitFor();
  await page.getByRole('status').filter({ hasText: /^$/ }).waitFor({ state: 'attached' });
}

async function main() {
  const { createServer } = require(path.join(root, 'dist', 'server.cjs'));
  const server = createServer({ port: 0, logLevel: 'silent', page: path.join(root, 'dist', 'studio') });
  const url = await server.listen();
  const browser = await launchChromium();
  try {
    const page = await browser.newPage({ colorScheme: 'light' });
    await page.goto(`${url}/`);
    for (const [name, show] of Object.entries({ make, inside })) {
      await page.setViewportSize({ width: 1280, height: heights[name] ?? 900 });
      await show(page);
      await page.evaluate('document.activeElement.blur(); scrollTo(0, 0)');
      const file = path.join(images, `studio-${name}.png`);
      await page.screenshot({ path: file });
      console.log(path.relative(root, file));
    }
  } finally {
    await browser.close();
    await server.close(0);
  }
}

main().catch((error) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
