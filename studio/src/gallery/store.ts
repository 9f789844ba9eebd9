/** Where pictures are kept, whatever it is: IndexedDB in a browser, a folder in a desktop application. */
import type { ImageRequest } from '../api/types';

/** What is known of a picture besides its bytes. All of it can be written as JSON. */
export interface KeptPicture {
  id: string;
  /** Milliseconds since 1970. */
  created: number;
  bundle: string;
  /** The preset, or what else it is called by. */
  title: string;
  request: ImageRequest;
  seed: number;
  width: number;
  height: number;
  /** Branch evaluations of the model, and blocks in units of plain classifier-free guidance where known. */
  evaluations: number | null;
  cost: number | null;
  seconds: number | null;
}

export interface GalleryStore {
  /** The newest first. */
  list(): Promise<KeptPicture[]>;
  add(picture: KeptPicture, png: Uint8Array): Promise<void>;
  /** Its PNG; null for one that is gone. */
  png(id: string): Promise<Blob | null>;
  remove(id: string): Promise<void>;
}
