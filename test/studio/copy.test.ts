/** Programs to copy: each makes the bytes of the picture that it was copied from. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';

import { loadPipeline, type GenerateOptions, type LoadOptions } from '../../lib';
import type { ServerOptions } from '../../lib/server';
import { encodePng } from '../../lib/image/png';
import { inChromium } from '../inBrowser';
import { run } from '../lib/cli/run';
import { settles } from '../settles';

import { isMade, paintMask, pictureOf, setSteps, Studio } from './studio';

const shell = promisify(execFile);

inChromium('copying', () => {
  let studio: Studio;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'studio-'));
    studio = await Studio.open();
  });
  afterAll(async () => {
    await studio?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const copied = async (page: Page, form: string): Promise<string> => {
    await page.getByRole('button', { name: form }).click();
    return (await page.locator('dialog pre').textContent())!;
  };

  /** Runs a copied command, as a shell reads it. @returns the PNG that it makes */
  async function madeBy(command: string): Promise<Buffer> {
    const [program, ...words] = command.match(/'[^']*'|\S+/g)!.map((word) => word.replaceAll("'", ''));
    expect(program).toBe('detail-guidance');
    const { code, stderr } = await run(words, { cwd: folder });
    expect([code, code === 0 ? '' : stderr]).toEqual([0, '']);
    return readFile(join(folder, 'picture.png'));
  }

  /** Runs what a copied program asks for. @returns the PNG that it makes */
  async function madeByProgram(program: string): Promise<Buffer> {
    const [, words] = /loadPipeline\((.*)\);\nconst/s.exec(program)!;
    const [, options] = /pipeline\.generate\((.*)\);\nawait images/s.exec(program)!;
    const [bundle, load] = new Function(`return [${words}]`)() as [string, LoadOptions?];
    await using pipeline = await loadPipeline(bundle, load);
    const { images } = await pipeline.generate(new Function(`return ${options}`)() as GenerateOptions);
    return Buffer.from(images[0]!.toPng());
  }

  test('copied as command line, as curl and as TypeScript, it is the same picture', async () => {
    const page = await studio.page({ bypassCSP: true });
    await page.getByLabel('Class', { exact: true }).selectOption('Ankle boot');
    await page.getByLabel('Detail scale w', { exact: true }).fill('0.5');
    await page.getByRole('button', { name: 'Make CFG + Detail', exact: true }).click();
    await isMade(page, 'CFG + Detail');
    const png = await pictureOf(page, 'CFG + Detail');
    await page.getByRole('button', { name: 'Copy as…' }).click();
    expect((await madeBy(await copied(page, 'Command line'))).equals(png)).toBe(true);
    await shell('sh', ['-c', await copied(page, 'curl')], { cwd: folder });
    expect((await readFile(join(folder, 'picture.png'))).equals(png)).toBe(true);
    expect((await madeByProgram(await copied(page, 'TypeScript'))).equals(png)).toBe(true);
    await page.context().close();
  });

  test('copied as curl with a large picture to start from, it is the same picture', async () => {
    const page = await studio.page({ bypassCSP: true });
    await page.locator('.time-line').waitFor();
    await page.getByText('Image to image').click();
    // Longer in base64 than one argument of a command may be.
    const noise = { width: 300, height: 200, channels: 3 as const, pixels: randomBytes(300 * 200 * 3) };
    const buffer = Buffer.from(encodePng(noise));
    await page.getByLabel('Start from').setInputFiles({ name: 'start.png', mimeType: 'image/png', buffer });
    await page.getByRole('application', { name: /What is painted anew/ }).waitFor();
    await page.getByRole('button', { name: 'Make CFG + Detail', exact: true }).click();
    await isMade(page, 'CFG + Detail');
    await page.getByRole('button', { name: 'Copy as…' }).click();
    await writeFile(join(folder, 'curl.sh'), await copied(page, 'curl'));
    await shell('sh', ['curl.sh'], { cwd: folder });
    const png = await pictureOf(page, 'CFG + Detail');
    expect((await readFile(join(folder, 'picture.png'))).equals(png)).toBe(true);
    await page.context().close();
  });

  test('where no program can reach the server there is no command for curl', async () => {
    const context = await studio.browser.newContext();
    // As a desktop application does, whose scheme leads to this server.
    await context.addInitScript(`
      window.detailGuidanceHost = { apiBase: 'studio://app' };
      const { fetch } = window;
      window.fetch = (address, init) => fetch(address.replace('studio://app', location.origin), init);
    `);
    const page = await studio.visit(await context.newPage());
    await page.locator('.time-line').waitFor();
    await page.getByRole('button', { name: 'Copy as…' }).click();
    const forms = page.getByRole('group', { name: 'Form' }).getByRole('button');
    await settles(() => forms.allTextContents(), ['TypeScript', 'Command line']);
    await context.close();
  });

  test('a browser that does not let the page copy: the text is selected, and that is said', async () => {
    const page = await studio.page();
    await page.evaluate(
      "navigator.clipboard.writeText = () => Promise.reject(new DOMException('no', 'NotAllowedError'))",
    );
    await page.locator('.time-line').waitFor();
    await page.getByRole('button', { name: 'Copy as…' }).click();
    await page.getByRole('button', { name: 'Copy', exact: true }).click();
    await page.getByText('The browser does not let this page copy').waitFor();
    expect(await page.evaluate('getSelection().toString()')).toContain("loadPipeline('embedded')");
    await page.context().close();
  });

  test('the command line says what no single flag can: a mask, a curve, a sampler, any technique', async () => {
    const page = await studio.page({ bypassCSP: true });
    await page.locator('.time-line').waitFor();
    await paintMask(page);
    await setSteps(page, 6);
    await page.getByLabel('Sampler').selectOption('unipc');
    await page.getByLabel('Retention ρ over time').selectOption('table');
    for (const view of ['pag+cfg', 'detail+cfg-fast']) {
      await page.getByLabel('Technique to add').selectOption(view);
      await page.getByRole('button', { name: 'Add', exact: true }).click();
    }
    for (const [view, flag] of [
      ['CFG + Detail', '--detail-tokens'],
      ['MA-disrupted', '--preset disrupted'],
      ['CFG + PAG', '--guidance'],
      ['CFG + Detail, reused', '--guidance'],
    ] as const) {
      await page.getByRole('button', { name: view, exact: true }).click();
      await page.getByRole('button', { name: `Make ${view}`, exact: true }).click();
      await isMade(page, view);
      await page.getByRole('button', { name: 'Copy as…' }).click();
      const command = await copied(page, 'Command line');
      expect(command).toContain(flag);
      expect(command).toContain('--scheduler unipc');
      expect([view, (await madeBy(command)).equals(await pictureOf(page, view))]).toEqual([view, true]);
      await page.keyboard.press('Escape');
    }
    await page.context().close();
  }, 60_000);

  test.each<[ServerOptions['load'] & object, string]>([
    [{ device: 'cpu', dtype: 'bfloat16' }, '--device cpu --dtype bfloat16'],
    [{ dtype: 'auto' }, '--dtype '],
  ])('what a server was told to compute in is copied too: %j', async (load, flags) => {
    const other = await Studio.open({ load });
    try {
      const page = await other.page({ bypassCSP: true });
      await page.getByRole('button', { name: 'Make Conditional', exact: true }).click();
      await isMade(page, 'Conditional');
      const png = await pictureOf(page, 'Conditional');
      await page.getByRole('button', { name: 'Conditional', exact: true }).click();
      await page.getByRole('button', { name: 'Copy as…' }).click();
      expect((await madeByProgram(await copied(page, 'TypeScript'))).equals(png)).toBe(true);
      const command = await copied(page, 'Command line');
      expect(command).toContain(flags);
      expect((await madeBy(command)).equals(png)).toBe(true);
    } finally {
      await other.close();
    }
  });

  test('what the command line has no flag for is said', async () => {
    const other = await Studio.open({ load: { fuse: false } });
    try {
      const page = await other.page();
      await page.locator('.time-line').waitFor();
      await page.getByRole('button', { name: 'Copy as…' }).click();
      expect(await copied(page, 'TypeScript')).toContain("loadPipeline('embedded', { fuse: false })");
      await copied(page, 'Command line');
      await page.getByText('The command line has no flag for fuse: the TypeScript says it.').waitFor();
    } finally {
      await other.close();
    }
  });

  test('the browser had nothing to complain about', () => {
    expect(studio.complaints).toEqual([]);
  });
});
