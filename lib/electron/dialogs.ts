/** The native dialogs for pictures, on behalf of a window's page. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';

import { writeFileAtomic } from '../files/atomic';
import { invalid } from '../validation/invalid';

import { electronMain, type IpcLike, type WindowLike } from './electron';
import { problemOf } from './problem';
import { channels } from './protocol';
import type { Outcome } from './types';

/** A picture that was chosen in the dialog. */
export interface OpenedPicture {
  /** Its file's name, without the folder. */
  name: string;
  /** What is in it: PNG, JPEG or WebP, as `image` of `generate` takes it. */
  bytes: Uint8Array;
}

const pictures = [{ name: 'Pictures', extensions: ['png', 'jpg', 'jpeg', 'webp'] }];
const png = [{ name: 'PNG', extensions: ['png'] }];

/** Answers the page of a window: which files are read and written, the user says in the dialog, and nobody else. */
export function offerDialogs(window: WindowLike): () => void {
  const { dialog } = electronMain();
  const { ipc, mainFrame } = window.webContents;
  const answer = <Value>(channel: string, ask: (...args: unknown[]) => Promise<Value>) =>
    ipc.handle(channel, async ({ senderFrame }, ...args): Promise<Outcome<Value>> => {
      try {
        if (senderFrame !== window.webContents.mainFrame)
          throw invalid('The frame', 'the page itself', 'a frame in it');
        return { ok: true, value: await ask(...args) };
      } catch (error) {
        return { ok: false, error: problemOf(error) };
      }
    });
  void mainFrame;
  answer(channels.open, async (): Promise<OpenedPicture | null> => {
    const { canceled, filePaths } = await dialog.showOpenDialog(window, {
      properties: ['openFile'],
      filters: pictures,
    });
    const [file] = filePaths;
    return canceled || file === undefined
      ? null
      : { name: basename(file), bytes: new Uint8Array(await readFile(file)) };
  });
  answer(channels.save, async (bytes, name): Promise<string | null> => {
    if (!(bytes instanceof Uint8Array)) throw invalid('savePicture', 'the bytes of a PNG', bytes);
    const defaultPath = basename(typeof name === 'string' && name !== '' ? name : 'picture.png');
    const { canceled, filePath } = await dialog.showSaveDialog(window, { defaultPath, filters: png });
    if (canceled || !filePath) return null;
    await writeFileAtomic(filePath, bytes);
    return filePath;
  });
  return () => takeBack(ipc);
}

function takeBack(ipc: IpcLike): void {
  ipc.removeHandler(channels.open);
  ipc.removeHandler(channels.save);
}
