/** The native dialogs for pictures, on behalf of a window's page. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';

import { readOptions } from '../call/metadata';
import { writeFileAtomic } from '../files/atomic';
import { invalid } from '../validation/invalid';

import { answerPage } from './answerPage';
import { electronMain, type WindowLike } from './electron';
import { channels } from './protocol';
import type { PlainOptions } from './types';

/** A picture that was chosen in the dialog. */
export interface OpenedPicture {
  /** Its file's name, without the folder. */
  name: string;
  /** What is in it: PNG, JPEG or WebP, as `image` of `generate` takes it. */
  bytes: Uint8Array;
  /** With which `generate` makes it again, where this package made it; null for others. */
  options: PlainOptions | null;
}

const pictures = [{ name: 'Pictures', extensions: ['png', 'jpg', 'jpeg', 'webp'] }];
const png = [{ name: 'PNG', extensions: ['png'] }];

/** Answers the page of a window: which files are read and written, the user says in the dialog, and nobody else. */
export function offerDialogs(window: WindowLike): () => void {
  const { dialog } = electronMain();
  return answerPage(window, {
    [channels.open]: async (): Promise<OpenedPicture | null> => {
      const { canceled, filePaths } = await dialog.showOpenDialog(window, {
        properties: ['openFile'],
        filters: pictures,
      });
      const [file] = filePaths;
      if (canceled || file === undefined) return null;
      const bytes = new Uint8Array(await readFile(file));
      return { name: basename(file), bytes, options: optionsOf(bytes) };
    },
    [channels.save]: async (bytes, name): Promise<string | null> => {
      if (!(bytes instanceof Uint8Array)) throw invalid('savePicture', 'the bytes of a PNG', bytes);
      const defaultPath = basename(typeof name === 'string' && name !== '' ? name : 'picture.png');
      const { canceled, filePath } = await dialog.showSaveDialog(window, { defaultPath, filters: png });
      if (canceled || !filePath) return null;
      await writeFileAtomic(filePath, bytes);
      return filePath;
    },
  });
}

/** What a picture of this package was made with; null for any other. */
function optionsOf(bytes: Uint8Array): PlainOptions | null {
  try {
    return readOptions(bytes);
  } catch {
    return null;
  }
}
