/** The file of a network: the one whose checksum is recorded is the one that is loaded. */
import { copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, test } from '@jest/globals';

import { PictureNetwork } from '../../../lib/evaluation/network';

const folder = mkdtempSync(join(tmpdir(), 'network-file-'));
const published = (name: string) => join(__dirname, '..', '..', '..', 'models', 'embedded', name);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('another file that takes its place after it was read is refused', async () => {
  const file = join(folder, 'network.pt');
  copyFileSync(published('classifier.pt'), file);
  copyFileSync(published('classifier-features.pt'), join(folder, 'other.pt'));
  const { signal } = new AbortController();
  let looks = 0;
  // Looked at before each piece: the second time all has been read.
  Object.defineProperty(signal, 'aborted', {
    get: () => {
      if (++looks === 2) renameSync(join(folder, 'other.pt'), file);
      return false;
    },
  });
  await expect(PictureNetwork.load({ file }, 'cpu', signal)).rejects.toMatchObject({
    code: 'MODEL_UNREADABLE',
    message: expect.stringContaining('no longer the file') as unknown,
  });
  expect(looks).toBeGreaterThan(1);
  const network = await PictureNetwork.load({ file }, 'cpu');
  await network.dispose();
});

test('nothing, and a folder', async () => {
  const load = (name: string) => PictureNetwork.load({ file: join(folder, name) }, 'cpu');
  await expect(load('nothing.pt')).rejects.toMatchObject({ code: 'BAD_OPTION' });
  mkdirSync(join(folder, 'folder.pt'));
  await expect(load('folder.pt')).rejects.toMatchObject({ code: 'MODEL_UNREADABLE' });
});
