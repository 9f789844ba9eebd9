import { cp, mkdir, mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { openBundle } from '../../lib/bundle';
/* eslint-disable @typescript-eslint/no-explicit-any -- tests break the manifest in ways its type forbids */
import { packageRoot } from '../../lib/files/packageRoot';

const embedded = join(packageRoot(), 'models', 'embedded');
const fails = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bundle-'));
  await cp(embedded, folder, { recursive: true });
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Changes bundle.json through its parsed form. */
async function edit(change: (manifest: any) => void): Promise<void> {
  const path = join(folder, 'bundle.json');
  const manifest = JSON.parse(await readFile(path, 'utf8'));
  change(manifest);
  await writeFile(path, JSON.stringify(manifest));
}

describe('openBundle', () => {
  test('opens the embedded bundle by name, by folder, by its bundle.json', async () => {
    const bundle = await openBundle('embedded');
    expect(bundle.transformer.inputs.map(({ role }) => role)).toContain('latent');
    expect((await openBundle(folder)).name).toBe(bundle.name);
    expect((await openBundle(join(folder, 'bundle.json'))).name).toBe(bundle.name);
  });

  test("ranks the channels of each layer by the bundle's statistics", async () => {
    const { ranking, massiveActivations, transformer } = await openBundle('embedded');
    const { layer, channels } = massiveActivations!;
    expect(ranking!.get(layer)).toHaveLength(transformer.hiddenChannels);
    for (const channel of channels) expect(ranking!.get(layer)!.indexOf(channel)).toBeLessThan(16);
  });

  test('1. a folder that does not exist, or has no bundle.json', async () => {
    await expect(openBundle(join(folder, 'nowhere'))).rejects.toEqual(fails('BUNDLE_NOT_FOUND', /does not exist/));
    await rm(join(folder, 'bundle.json'));
    await expect(openBundle(folder)).rejects.toEqual(
      fails('BUNDLE_NOT_FOUND', /expected a folder with a bundle\.json, received one without/),
    );
    await expect(openBundle('')).rejects.toEqual(
      fails('BAD_OPTION', /expected a folder with a bundle.json, or 'embedded'/),
    );
  });

  test('2. a bundle.json that is cut, or says something else than the schema', async () => {
    await truncate(join(folder, 'bundle.json'), 100);
    await expect(openBundle(folder)).rejects.toEqual(fails('BUNDLE_INVALID', /expected JSON, received other text/));
  });

  test.each<[string, (manifest: any) => void, RegExp]>([
    [
      'a missing key',
      (manifest) => delete manifest.latent.width,
      /bundle\.json\.latent\.width: expected a number, received nothing/,
    ],
    [
      'a wrong type',
      (manifest) => (manifest.transformer.hiddenChannels = 'many'),
      /transformer\.hiddenChannels: expected a number, received 'many'/,
    ],
    ['another format', (manifest) => (manifest.format = 2), /bundle\.json\.format: expected 1, received 2/],
    [
      'an unknown key',
      (manifest) => (manifest.transformer.block = []),
      /transformer\.block: expected 'blocks' \(known: file, .*\), received 'block'/,
    ],
    ['an unknown scheduler', (manifest) => (manifest.scheduler.kind = 'euler'), /scheduler/],
    ['a file that is not listed', (manifest) => (manifest.transformer.file = 'other.pt'), /names 'other\.pt'/],
    ['two latents', (manifest) => (manifest.transformer.inputs[1].role = 'latent'), /2 inputs with the role 'latent'/],
    ['a label too few', (manifest) => manifest.conditioning.labels.pop(), /9 labels for 10 classes/],
    ['a latent of another shape', (manifest) => (manifest.latent.width = 32), /latent/],
    ['a channel beyond', (manifest) => (manifest.massiveActivations.channels = [128]), /channel 128 of 128/],
    [
      'a path upwards',
      (manifest) => (manifest.files['../transformer.pt'] = manifest.files['transformer.pt']),
      /leaves the folder/,
    ],
    [
      'an absolute path',
      (manifest) => (manifest.files['/etc/passwd'] = manifest.files['transformer.pt']),
      /leaves the folder/,
    ],
    ['a Windows path', (manifest) => (manifest.files['C:\\x'] = manifest.files['transformer.pt']), /leaves the folder/],
  ])('3. BUNDLE_INVALID for %s', async (_name, change, message) => {
    await edit(change);
    await expect(openBundle(folder)).rejects.toEqual(fails('BUNDLE_INVALID', message));
  });

  test("4. keys that begin with x- are anybody's own", async () => {
    await edit((manifest) => (manifest['x-notes'] = 'mine'));
    await expect(openBundle(folder)).resolves.toMatchObject({ 'x-notes': 'mine' });
  });

  test("5. a link out of the folder, a folder in a file's place", async () => {
    const outside = await mkdtemp(join(tmpdir(), 'outside-'));
    await cp(join(folder, 'transformer.pt'), join(outside, 'transformer.pt'));
    await rm(join(folder, 'transformer.pt'));
    await symlink(join(outside, 'transformer.pt'), join(folder, 'transformer.pt'));
    await expect(openBundle(folder)).rejects.toEqual(fails('BUNDLE_INVALID', /link to somewhere else/));
    await rm(join(folder, 'transformer.pt'));
    await mkdir(join(folder, 'transformer.pt'));
    await expect(openBundle(folder)).rejects.toEqual(fails('BUNDLE_INVALID', /not a regular file/));
    await rm(outside, { recursive: true });
  });

  test('6. a missing, a truncated, an altered file', async () => {
    const path = join(folder, 'transformer.pt');
    const bytes = await readFile(path);
    await rm(path);
    await expect(openBundle(folder)).rejects.toEqual(
      fails('BUNDLE_NOT_FOUND', /transformer\.pt: expected a file in .*, received nothing/),
    );
    await writeFile(path, bytes.subarray(0, 1000));
    await expect(openBundle(folder)).rejects.toEqual(
      fails('BUNDLE_CHECKSUM', /transformer\.pt: expected \d+ bytes, received 1000 \(it is truncated/),
    );
    bytes[5000] = bytes[5000]! ^ 1;
    await writeFile(path, bytes);
    await expect(openBundle(folder)).rejects.toEqual(
      fails('BUNDLE_CHECKSUM', /expected the sha256 .*\(it has been altered\)/),
    );
  });

  test('7. a signal ends it', async () => {
    const reason = new Error('enough');
    await expect(openBundle(folder, AbortSignal.abort(reason))).rejects.toMatchObject({
      name: 'AbortError',
      cause: reason,
    });
  });
});
