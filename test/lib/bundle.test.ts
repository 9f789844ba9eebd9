import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { openBundle } from '../../lib/bundle';
/* eslint-disable @typescript-eslint/no-explicit-any -- tests break the manifest in ways its type forbids */
import { loadTorchScript, loadSealedTorchScript } from '../../lib/model/torchScript';
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
    [
      'a latent that no memory holds',
      ({ latent }) => (latent.height = latent.width = 2 ** 31),
      /bundle\.json\.latent: expected at most 268435456 numbers in all, received \d x 2147483648 x 2147483648/,
    ],
    [
      'an input that no memory holds',
      (manifest) => (manifest.transformer.inputs[2].shape = ['batch', 2 ** 20, 2 ** 20]),
      /transformer\.inputs\[2\]\.shape: expected at most 268435456 numbers in all, received 1048576 x 1048576/,
    ],
    [
      'more tokens than cells',
      (manifest) => (manifest.transformer.tokenGrid = [29, 28]),
      /tokenGrid: expected at most the latent's 28 x 28 cells, received 29 x 28/,
    ],
    [
      'pixels that no memory holds',
      (manifest) => (manifest.vae = { decoder: { file: 'transformer.pt', dtype: 'float16' }, scale: 1e6 }),
      /vae\.scale: expected at most 268435456 numbers in all/,
    ],
    [
      'black that is white',
      (manifest) => (manifest.image.range = [1, 1]),
      /image\.range: expected two different numbers/,
    ],
    [
      'steps without end',
      (manifest) => (manifest.defaults.numInferenceSteps = 1e9),
      /numInferenceSteps: expected number to be <=1000, received 1000000000/,
    ],
    [
      'a name that colours the terminal',
      (manifest) => (manifest.name = '\u001b[31mred'),
      /name: expected a line without control characters, received '\\u001b\[31mred'/,
    ],
    [
      'a file whose name breaks the line',
      (manifest) => (manifest.files['a\nb'] = manifest.files['transformer.pt']),
      /files[^]*: expected a name that is a line without control characters/,
    ],
    ['a path without end', (manifest) => (manifest.transformer.blocks[0].path = 'x'.repeat(1e6)), /blocks\[0\]\.path/],
    [
      'two inputs of a name',
      (manifest) => (manifest.transformer.inputs[2].name = 'sample'),
      /transformer\.inputs\[2\]\.name: expected a name of its own, received 'sample'/,
    ],
    [
      'latents in whole numbers',
      (manifest) => (manifest.transformer.inputs[0].dtype = 'int64'),
      /inputs\[0\]\.dtype: expected one of float, float32, .*, received 'int64' \(its role is 'latent'\)/,
    ],
    [
      'massive activations of a stream that is none',
      (manifest) => (manifest.massiveActivations.stream = 'text'),
      /massiveActivations\.stream: expected a stream of the blocks: image, received 'text'/,
    ],
    ['an unknown scheduler', (manifest) => (manifest.scheduler.kind = 'euler'), /scheduler/],
    [
      'a file that is not listed',
      (manifest) => (manifest.transformer.file = 'other.pt'),
      /transformer\.file: expected a file that 'files' lists with its sha256, received 'other\.pt'/,
    ],
    [
      'two latents',
      (manifest) => (manifest.transformer.inputs[1].role = 'latent'),
      /transformer\.inputs: expected one input with the role 'latent', received 2/,
    ],
    [
      'an unconditional class that the model cannot have',
      (manifest) => (manifest.conditioning.nullClass = 11),
      /conditioning\.nullClass: expected a class from 0 to 10: one of the 10, or the one behind them, received 11/,
    ],
    [
      'pixels of a latent of 4 channels',
      (manifest) => {
        manifest.latent.channels = manifest.transformer.outputChannels = 4;
        manifest.transformer.inputs.find(({ role }: any) => role === 'latent').shape[1] = 4;
      },
      /image\.kind: expected 'vae', and a decoder in 'vae', received 'pixels' \(pixels have 1 or 3 channels, the latent has 4\)/,
    ],
    [
      '4 channels of pixels',
      (manifest) => (manifest.image.channels = 4),
      /image\.channels: expected 1 or 3; a latent of other channels needs image\.kind 'vae' and a decoder, received 4/,
    ],
    [
      'a kind that is none',
      (manifest) => (manifest.image.kind = 'raw'),
      /image\.kind: expected one of 'pixels', 'vae', /,
    ],
    [
      'a size that is neither number nor name',
      (manifest) => (manifest.transformer.inputs[0].shape[0] = null),
      /shape\[0\]: expected a number or a text, received null/,
    ],
    [
      'a label too few',
      (manifest) => manifest.conditioning.labels.pop(),
      /conditioning\.labels: expected 10 labels, one for each class, received 9/,
    ],
    [
      'a latent of another shape',
      (manifest) => (manifest.latent.width = 32),
      /expected the latent's shape to be \[batch, .*, received \[/,
    ],
    [
      'a channel beyond',
      (manifest) => (manifest.massiveActivations.channels = [128]),
      /massiveActivations\.channels: expected channels from 0 to 127, received 128/,
    ],
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

  test.each([
    ['zeros', { zeros: { tokens: 65_536, channels: 65_536 } }, /at most 268435456 numbers in all/],
    ['zeros of any length', { zeros: { tokens: 'maxSequenceLength', channels: 65_536 } }, /at most 268435456 numbers/],
    ['axes', { positions: 'grid', axes: 1e9 }, /axes/],
    ['channels', { join: 'channels', of: [{ zeros: { tokens: 1, channels: 1 } }], padTo: 1e9 }, /padTo/],
  ])('4a. %s of a prompt that no memory holds', async (_name, expression, message) => {
    await edit((manifest) => {
      const maxSequenceLength = { default: 1, maximum: 65_536 };
      manifest.conditioning = { kind: 'text', maxSequenceLength, inputs: { class: expression } };
    });
    await expect(openBundle(folder)).rejects.toEqual(fails('BUNDLE_INVALID', message));
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

  test('5a. expressions within expressions without end', async () => {
    const path = join(folder, 'bundle.json');
    const manifest = JSON.parse(await readFile(path, 'utf8'));
    const nested = (times: number) =>
      `{"kind":"text","inputs":{"c":${'{"join":"tokens","of":['.repeat(times)}{"size":"resolution"}${']}'.repeat(times)}}}`;
    const within = (times: number) =>
      JSON.stringify({ ...manifest, conditioning: 0 }).replace(
        '"conditioning":0',
        () => `"conditioning":${nested(times)}`,
      );
    await writeFile(path, within(100_000));
    await expect(openBundle(folder)).rejects.toEqual(fails('BUNDLE_INVALID', /at most 64 lists and objects/));
    await writeFile(path, within(20));
    await expect(openBundle(folder)).rejects.toEqual(fails('BUNDLE_INVALID', /conditioning.inputs/));
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

  test("8. a pipe, a device, a folder in bundle.json's place or a file's: an error, and nobody waits", async () => {
    const transformer = join(folder, 'transformer.pt');
    await rm(transformer);
    execFileSync('mkfifo', [transformer]);
    await expect(openBundle(folder)).rejects.toEqual(fails('BUNDLE_INVALID', /not a regular file/));
    const manifest = join(folder, 'bundle.json');
    await rm(manifest);
    execFileSync('mkfifo', [manifest]);
    await expect(openBundle(folder)).rejects.toEqual(fails('BUNDLE_NOT_FOUND', /not a regular file/));
    await rm(manifest);
    await symlink('/dev/zero', manifest);
    await expect(openBundle(folder)).rejects.toEqual(fails('BUNDLE_NOT_FOUND', /link out of the folder/));
    await rm(manifest);
    await mkdir(manifest);
    await expect(openBundle(folder)).rejects.toEqual(fails('BUNDLE_NOT_FOUND', /not a regular file/));
    // The native side by itself.
    await expect(loadTorchScript(transformer)).rejects.toEqual(fails('MODEL_UNREADABLE', /no regular file/));
    await expect(loadTorchScript('/dev/zero')).rejects.toEqual(fails('MODEL_UNREADABLE', /no regular file/));
  });

  test('9. a bundle.json that is a link out of the folder', async () => {
    const outside = await mkdtemp(join(tmpdir(), 'outside-'));
    await cp(join(folder, 'bundle.json'), join(outside, 'bundle.json'));
    await rm(join(folder, 'bundle.json'));
    await symlink(join(outside, 'bundle.json'), join(folder, 'bundle.json'));
    await expect(openBundle(folder)).rejects.toEqual(fails('BUNDLE_NOT_FOUND', /link out of the folder/));
    await rm(outside, { recursive: true });
  });

  test('10. a snapshot in the cache of Hugging Face: its links lead to blobs named after their checksums', async () => {
    const cache = await mkdtemp(join(tmpdir(), 'cache-'));
    const snapshot = join(cache, 'snapshots', '0a1b', 'dit');
    await mkdir(join(cache, 'blobs'));
    await mkdir(snapshot, { recursive: true });
    const blobs = new Map<string, string>();
    for (const file of await readdir(folder)) {
      const bytes = await readFile(join(folder, file));
      const hash = file.endsWith('.pt') ? createHash('sha256') : createHash('sha1').update(`blob ${bytes.length}\0`);
      const blob = join(cache, 'blobs', hash.update(bytes).digest('hex'));
      blobs.set(file, blob);
      await writeFile(blob, bytes);
      await symlink(relative(snapshot, blob), join(snapshot, file));
    }
    const bundle = await openBundle(snapshot);
    expect((await bundle.sealed('transformer.pt')).path).toBe(blobs.get('transformer.pt'));
    await appendFile(blobs.get('bundle.json')!, ' ');
    await expect(openBundle(snapshot)).rejects.toEqual(fails('BUNDLE_CHECKSUM', /named after its checksum/));
    await rm(cache, { recursive: true });
  });

  test('11. what was compared is what is loaded', async () => {
    const bundle = await openBundle(folder);
    const path = join(folder, 'classifier.pt');
    const sealed = await bundle.sealed('classifier.pt');
    // Touched, but the same: compared again, and what is read next is the file as it is now.
    await utimes(path, new Date(0), new Date(0));
    const touched = await bundle.sealed('classifier.pt');
    expect(touched.identity).not.toBe(sealed.identity);
    await using component = await loadSealedTorchScript(touched, { device: 'cpu' });
    expect(component.size.parameters).toBeGreaterThan(0);
    // Another file in its place.
    await rename(join(folder, 'transformer.pt'), path);
    await expect(loadSealedTorchScript(touched, { device: 'cpu' })).rejects.toEqual(
      fails('MODEL_UNREADABLE', /no longer the file whose checksum was compared/),
    );
    await expect(bundle.sealed('classifier.pt')).rejects.toEqual(fails('BUNDLE_CHECKSUM', /altered|truncated/));
    await expect(bundle.read('classifier.pt')).rejects.toEqual(fails('BUNDLE_CHECKSUM', /altered|truncated/));
  });
});
