/** Pictures in IndexedDB: one store for what is listed, one for the bytes, so that a list reads no picture. */
import { keptPicture } from './keptPicture';
import type { GalleryStore, KeptPicture } from './store';

const settle = <Result>(request: IDBRequest<Result>): Promise<Result> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('IndexedDB failed'));
  });

const done = (transaction: IDBTransaction): Promise<void> =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = transaction.onerror = () => reject(transaction.error ?? new Error('IndexedDB failed'));
  });

/** A blob: the browser reads its bytes when they are drawn, and not into the page. */
const blobOf = (png: Uint8Array) => new Blob([png as Uint8Array<ArrayBuffer>], { type: 'image/png' });

export class BrowserGallery implements GalleryStore {
  #database: Promise<IDBDatabase> | null = null;

  async list(): Promise<KeptPicture[]> {
    const transaction = (await this.#open()).transaction('pictures');
    const entries = await settle<unknown[]>(transaction.objectStore('pictures').getAll());
    const pictures = entries.map(keptPicture).filter((picture) => picture !== null);
    return pictures.sort((a, b) => b.created - a.created);
  }

  async add(picture: KeptPicture, png: Uint8Array): Promise<void> {
    const transaction = (await this.#open()).transaction(['pictures', 'bytes'], 'readwrite');
    transaction.objectStore('pictures').put(picture);
    transaction.objectStore('bytes').put(blobOf(png), picture.id);
    await done(transaction);
  }

  async png(id: string): Promise<Blob | null> {
    const transaction = (await this.#open()).transaction('bytes');
    const entry = await settle<unknown>(transaction.objectStore('bytes').get(id));
    // Earlier versions kept bytes.
    if (entry instanceof Uint8Array) return blobOf(entry);
    return entry instanceof Blob ? entry : null;
  }

  async remove(id: string): Promise<void> {
    const transaction = (await this.#open()).transaction(['pictures', 'bytes'], 'readwrite');
    transaction.objectStore('pictures').delete(id);
    transaction.objectStore('bytes').delete(id);
    await done(transaction);
  }

  #open(): Promise<IDBDatabase> {
    this.#database ??= new Promise((resolve, reject) => {
      const request = indexedDB.open('detail-guidance', 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore('pictures', { keyPath: 'id' });
        request.result.createObjectStore('bytes');
      };
      request.onsuccess = () => {
        // Another tab with a newer page may want to change the stores.
        request.result.onversionchange = () => {
          request.result.close();
          this.#database = null;
        };
        // The browser's data were cleared.
        request.result.onclose = () => (this.#database = null);
        resolve(request.result);
      };
      request.onerror = () => reject(request.error ?? new Error('IndexedDB cannot be opened'));
    });
    // It may be there the next time: a refusal is not remembered.
    this.#database.catch(() => (this.#database = null));
    return this.#database;
  }
}
