/** The studio's gallery as a folder of PNG files, on behalf of a window's page. */
import { randomUUID } from 'node:crypto';
import { readdir, readFile, stat, unlink } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

import { readMetadata } from '../call/metadata';
import { writeFileAtomic } from '../files/atomic';
import { makeFolder } from '../files/newFolder';
import { invalid, reasonOf } from '../validation/invalid';

import { answerPage } from './answerPage';
import type { WindowLike } from './electron';
import { readGalleryPicture } from './galleryFile';
import type { GalleryList, GalleryPicture } from './galleryTypes';
import { channels } from './protocol';

/** Bytes of the largest picture that is written. */
const mostBytes = 2 ** 28;

/**
 * Gives a window's page a folder to keep its pictures in; the folder is made with the first of them. Only pictures that this
 * package made are listed, written and removed: other files in it are left alone. With the preload script of
 * `studioPreloadFile()` the studio's gallery is this folder.
 *
 * @returns what ends it
 * @throws BAD_OPTION for a folder that is no text
 */
export function offerGallery(window: WindowLike, folder: string): () => void {
  if (typeof folder !== 'string' || folder === '') throw invalid('offerGallery', 'the path of a folder', folder);
  const gallery = new GalleryFolder(resolve(folder));
  return answerPage(window, {
    [channels.galleryList]: () => gallery.list(),
    [channels.galleryRead]: (file) => gallery.read(file),
    [channels.galleryWrite]: (png, name) => gallery.write(png, name),
    [channels.galleryRemove]: (file) => gallery.remove(file),
  });
}

export class GalleryFolder {
  /** What is known of a file that has not changed since. */
  readonly #known = new Map<string, { stamp: string; picture: GalleryPicture | string }>();
  #writing: Promise<unknown> = Promise.resolve();

  constructor(private readonly folder: string) {}

  /** The newest first; and a sentence about every PNG that is left out. */
  async list(): Promise<GalleryList> {
    const names = await readdir(this.folder).catch((error: NodeJS.ErrnoException) => {
      // The folder is made with the first picture.
      if (error.code === 'ENOENT') return [];
      throw invalid(this.folder, 'a folder that can be read', undefined, { shown: reasonOf(error) });
    });
    const files = names.filter((name) => /^[^.].*\.png$/i.test(name));
    for (const name of this.#known.keys()) if (!files.includes(name)) this.#known.delete(name);
    const looks: (GalleryPicture | string)[] = [];
    for (const name of files) {
      const look = await this.#look(name);
      if (look !== null) looks.push(look);
    }
    const pictures = looks.filter((look) => typeof look === 'object').sort((a, b) => b.created - a.created);
    return { folder: this.folder, pictures, skipped: looks.filter((look) => typeof look === 'string') };
  }

  /** The bytes of a picture; null for one that is gone. */
  async read(file: unknown): Promise<Uint8Array | null> {
    const name = nameOf(file);
    const look = await this.#look(name);
    if (typeof look !== 'object') return null;
    return look && new Uint8Array(await readFile(join(this.folder, name)));
  }

  /** Writes a picture, whole or not at all; gives the file's name, which is another one where the name is taken. */
  write(png: unknown, name: unknown): Promise<string> {
    const written = this.#writing.then(() => this.#write(png, name));
    this.#writing = written.catch(() => undefined);
    return written;
  }

  /** Removes a picture that this package made. */
  async remove(file: unknown): Promise<null> {
    const name = nameOf(file);
    const look = await this.#look(name);
    if (typeof look === 'string')
      throw invalid(name, 'a picture of this gallery', undefined, { shown: 'another file' });
    if (look) await unlink(join(this.folder, name));
    return null;
  }

  async #write(png: unknown, name: unknown): Promise<string> {
    if (!(png instanceof Uint8Array) || png.length > mostBytes) throw invalid('write', 'the bytes of a PNG', png);
    readMetadata(png);
    makeFolder(this.folder);
    const stem = stemOf(name);
    for (let count = 1; ; count++) {
      const file = count === 1 ? `${stem}.png` : `${stem}-${count}.png`;
      const there = await readFile(join(this.folder, file)).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return null;
        throw error;
      });
      // The same picture again: a page that is loaded anew keeps what it had made once more.
      if (there?.equals(png)) return file;
      if (there) continue;
      await writeFileAtomic(join(this.folder, file), png);
      return file;
    }
  }

  /** What a file is: a picture, a sentence about why it is none, or null when it is gone. */
  async #look(name: string): Promise<GalleryPicture | string | null> {
    const file = join(this.folder, name);
    const facts = await stat(file).catch(() => null);
    if (!facts?.isFile()) return null;
    const stamp = `${facts.mtimeMs} ${facts.size}`;
    const known = this.#known.get(name);
    if (known?.stamp === stamp) return known.picture;
    const picture = await readGalleryPicture(file, facts);
    this.#known.set(name, { stamp, picture });
    return picture;
  }
}

/** @throws BAD_OPTION for what is no name of a PNG in the folder itself */
function nameOf(file: unknown): string {
  if (typeof file === 'string' && file === basename(file) && /^[^.\\/:\0][^\\/:\0]*\.png$/i.test(file)) return file;
  throw invalid('file', 'the name of a PNG in the gallery', file);
}

/** A file name out of what the page calls the picture: letters and digits of any script, at most 60 of them. */
function stemOf(name: unknown): string {
  const words = typeof name === 'string' ? name.toLowerCase().normalize('NFC') : '';
  const stem = words.replaceAll(/[^\p{L}\p{N}]+/gu, '-').replaceAll(/^-+|-+$/g, '');
  return Array.from(stem).slice(0, 60).join('') || `picture-${randomUUID().slice(0, 8)}`;
}
