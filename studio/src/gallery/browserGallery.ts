/** Pictures in IndexedDB: one store for what is listed, one for the bytes, so that a list reads no picture. */
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
    const pictures = await settle<KeptPicture[]>(transaction.objectStore('pictures').getAll());
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
    const entry = await settle<Blob | Uint8Array | undefined>(transaction.objectStore('bytes').get(id));
    // Earlier versions kept bytes.
    return entry instanceof Uint8Array ? blobOf(entry) : (entry ?? null);
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
        resolve(request.result);
      };
      request.onerror = () => {
        this.#database = null;
        reject(request.error ?? new Error('IndexedDB cannot be opened'));
      };
    });
    return this.#database;
  }
}
