/** Models of all kinds on the page: each of its parts works with them, or says in a sentence why not. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';

import { packageRoot } from '../../lib/files/packageRoot';
import { inChromium } from '../inBrowser';
import { Oracle, python } from '../parity/oracle';
import { settles } from '../settles';

import { bundleFolder, embeddedAs } from './bundles';
import { goTo, isMade, pictureOf, setSteps, Studio } from './studio';

const problems = async (page: Page) => page.locator('.problem:visible').allTextContents();

/** Makes pictures, compares two, looks inside and lists the gallery. @returns what the pages complain about */
async function goRound(page: Page, last: string): Promise<string[]> {
  await setSteps(page, 3);
  await page.locator('.time-line').waitFor();
  await page.getByRole('button', { name: /^Make (\d+ pictures|the picture)$/ }).click();
  await isMade(page, last);
  const found = await problems(page);
  await goTo(page, 'Compare');
  await page.getByRole('button', { name: 'Make both' }).click();
  await page.getByRole('img', { name: 'A', exact: true }).waitFor();
  await page.getByRole('img', { name: 'B', exact: true }).waitFor();
  found.push(...(await problems(page)));
  await goTo(page, 'Look inside');
  await page.getByRole('button', { name: 'Look inside' }).click();
  await page
    .getByRole('application', { name: /Strength of every channel after/ })
    .locator('svg image')
    .waitFor();
  await page.locator('.map-layers button').first().waitFor();
  await page.getByRole('img', { name: /disrupted after layer/ }).waitFor();
  found.push(...(await problems(page)));
  await goTo(page, 'Gallery');
  await page.locator('.gallery li img').first().waitFor();
  return found;
}

inChromium('the embedded model, described otherwise', () => {
  let studio: Studio;
  const folder = bundleFolder();
  beforeAll(async () => {
    const bundles = [
      embeddedAs(folder, 'without-null', ({ conditioning }) => ({
        conditioning: { ...conditioning, nullClass: undefined },
        defaults: {},
      })),
      embeddedAs(folder, 'unmeasured', () => ({ massiveActivations: undefined, defaults: {} })),
    ];
    studio = await Studio.open({ bundles: ['embedded', ...bundles] });
  });
  afterAll(async () => {
    await studio?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('a model without an unconditional class has no classifier-free guidance, and says so', async () => {
    const page = await studio.page();
    await page.getByLabel('Bundle').selectOption('without-null');
    expect(await goRound(page, 'Detail Guidance')).toEqual([]);
    await goTo(page, 'Make');
    await settles(
      () => page.locator('.card .title').allTextContents(),
      ['Conditional', 'MA-disrupted', 'Detail Guidance'],
    );
    await page.getByText('trained without an unconditional prediction').waitFor();
    await settles(() => page.getByLabel('CFG scale s').count(), 0);
    await goTo(page, 'Compare');
    await page.getByRole('button', { name: 'Rivals at equal cost' }).click();
    await page.getByRole('button', { name: 'Make them' }).click();
    await page.locator('.sheet img').first().waitFor();
    expect(await problems(page)).toEqual([]);
    // The other bundle has it all, and none of the pictures of this one.
    await goTo(page, 'Make');
    await page.getByLabel('Bundle').selectOption('embedded');
    await settles(() => page.locator('.card').count(), 5);
    await settles(() => page.locator('.card img').count(), 0);
    await page.context().close();
  });

  test('where no massive activations are recorded it is said before anything is made, and one is picked', async () => {
    const page = await studio.page();
    const begun = page.waitForRequest('**/v1/analysis/massive-activations');
    await page.getByLabel('Bundle').selectOption('unmeasured');
    await page.locator('.field .problem').filter({ hasText: 'pick a layer and channels in the chart' }).waitFor();
    await page.locator('.card .problem').first().waitFor();
    // While the first page measures the channels, which tell what is looked at: the strongest of them.
    await begun;
    await goTo(page, 'Look inside');
    await page.getByRole('button', { name: 'Look inside' }).click();
    await page.getByRole('img', { name: /channel \d+ disrupted after layer \d/ }).waitFor();
    const [, channel] = /^Channel (\d+)/.exec(
      await page.getByRole('heading', { name: /over the picture/ }).innerText(),
    )!;
    await page.getByText(new RegExp(`^Channel ${channel} after layer \\d+: blue`)).waitFor();
    await goTo(page, 'Make');
    const chart = page.getByRole('application', { name: /Strength of every channel/ });
    await chart.locator('svg image').waitFor();
    await chart.focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.locator('.card .problem').first().waitFor({ state: 'detached' });
    await page.context().close();
  });

  test('the browser had nothing to complain about', () => {
    expect(studio.complaints).toEqual([]);
  });
});

/** The example of an adapter with some of its lines changed. */
function exportGrating(folder: string, id: string, changes: readonly [from: string, to: string][]): string {
  const source = readFileSync(join(packageRoot(), 'examples', 'adapter', 'grating.py'), 'utf8');
  const adapter = join(folder, `${id}.py`);
  writeFileSync(
    adapter,
    changes.reduce((text, [from, to]) => text.replace(from, to), source),
  );
  const out = join(folder, id);
  const words = ['-m', 'models.export', '--adapter', adapter, '--out', out];
  const { status, stderr } = spawnSync(python.path!, words, { cwd: packageRoot(), encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return out;
}

const withPython = python.path ? inChromium : (name: string, tests: () => void) => describe.skip(name, tests);

withPython('models of other families', () => {
  let studio: Studio;
  let oracle: Oracle;
  const folder = bundleFolder();
  beforeAll(async () => {
    oracle = new Oracle();
    const exported = async (family: string, variant: string) => {
      const out = join(folder, variant);
      await oracle.ask({ op: 'export', family, variant, out });
      return out;
    };
    studio = await Studio.open({
      bundles: [
        exportGrating(folder, 'one-block', [
          ['LAYERS, SIZE = 3, 2, 32, 4, 4, 16', 'LAYERS, SIZE = 3, 2, 32, 4, 1, 16'],
          ['"tokenGrid": [grid, grid]', '"tokenGrid": [grid, 2 * grid]'],
          ['"width": SIZE', '"width": 2 * SIZE'],
        ]),
        await exported('sd3', 'sd3'),
        await exported('flux', 'dev'),
        await oracle.bundle('sd3'),
      ],
    });
  }, 600_000);
  afterAll(async () => {
    await studio?.close();
    await oracle?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Layer and channels that are disrupted, since these bundles record none. */
  async function disrupt(page: Page, layer: string): Promise<void> {
    await page.getByLabel('Layer', { exact: true }).selectOption(layer);
    await page.getByLabel('Channels', { exact: true }).fill('7');
    await page.getByLabel('Channels', { exact: true }).press('Tab');
  }

  test('one block, neither class nor prompt, not square', async () => {
    const page = await studio.page();
    await page.getByLabel('Bundle').selectOption('one-block');
    await disrupt(page, '0');
    expect(await goRound(page, 'Detail Guidance')).toEqual([]);
    await page.getByText('this model is conditioned by neither').waitFor({ state: 'detached' });
    await goTo(page, 'Look inside');
    await page.getByText('this model is conditioned by neither').waitFor();
    await goTo(page, 'Make');
    const box = (await page.locator('.card .picture').first().boundingBox())!;
    expect(Math.round((10 * box.width) / box.height)).toBe(20);
    // Sizes are multiples of a token's.
    await page.getByLabel('Width', { exact: true }).fill('33');
    await page.getByLabel('Width', { exact: true }).press('Tab');
    await page
      .locator('.field.wrong')
      .filter({ has: page.getByLabel('Width', { exact: true }) })
      .waitFor();
    await page.context().close();
  });

  test('a prompt, several encoders, another size: SD3', async () => {
    const page = await studio.page();
    await page.getByLabel('Bundle').selectOption('sd3');
    await page.getByLabel('Prompt', { exact: true }).fill('a lighthouse');
    await page.getByLabel('Width', { exact: true }).fill('80');
    await page.getByLabel('Width', { exact: true }).press('Tab');
    await disrupt(page, '1');
    expect(await goRound(page, 'CFG + Detail')).toEqual([]);
    await page.context().close();
  });

  test('guidance as an input of the model: FLUX.1 dev', async () => {
    const page = await studio.page({ bypassCSP: true });
    await page.getByLabel('Bundle').selectOption('dev');
    await page.getByLabel('Prompt', { exact: true }).fill('a lighthouse');
    for (const side of ['Width', 'Height']) {
      await page.getByLabel(side, { exact: true }).fill('64');
      await page.getByLabel(side, { exact: true }).press('Tab');
    }
    await setSteps(page, 3);
    await disrupt(page, '2');
    await settles(() => page.getByLabel('Embedded guidance', { exact: true }).inputValue(), '3.5');
    await page.getByText('This model has its guidance built in', { exact: false }).waitFor();
    await page.getByRole('button', { name: 'Make Conditional', exact: true }).click();
    await isMade(page, 'Conditional');
    const before = await pictureOf(page, 'Conditional');
    await page.getByLabel('Embedded guidance', { exact: true }).fill('8');
    expect(await goRound(page, 'CFG + Detail')).toEqual([]);
    await goTo(page, 'Make');
    expect((await pictureOf(page, 'Conditional')).equals(before)).toBe(false);
    await page.getByRole('button', { name: 'Copy as…' }).click();
    await page.getByRole('button', { name: 'Command line' }).click();
    expect(await page.locator('dialog pre').textContent()).toContain('--embedded-scale 8');
    await page.context().close();
  });

  test('a transformer alone, which takes tensors: a sentence, and nothing to press', async () => {
    const page = await studio.page();
    await page.getByLabel('Bundle').selectOption('sd3-2');
    await page.getByText(/takes tensors \(.*\), which this page cannot give/).waitFor();
    for (const [link, button] of [
      ['Make', /^Make 3 pictures$/],
      ['Compare', 'Make both'],
      ['Look inside', 'Look inside'],
    ] as const) {
      await goTo(page, link);
      await settles(() => page.getByRole('button', { name: button }).isDisabled(), true);
    }
    await page.context().close();
  });

  test('the browser had nothing to complain about', () => {
    expect(studio.complaints).toEqual([]);
  });
});
