/** What the page of the studio and the folder of its pictures say to each other. */
import type { Outcome } from './types';

/** A picture in the folder. */
export interface GalleryPicture {
  /** Name of the file in the folder. */
  file: string;
  /** When it was written: milliseconds since 1970. */
  created: number;
  /** In pixels. */
  width: number;
  /** In pixels. */
  height: number;
  /** Version of the package that made it. */
  version: string;
  /** Name of the bundle that made it. */
  bundle: string;
  /** With which `generate` makes it again, as JSON has them in the file. */
  options: Record<string, unknown>;
}

/** What is in the folder. */
export interface GalleryList {
  /** Its path. */
  folder: string;
  /** The newest first. */
  pictures: GalleryPicture[];
  /** A sentence about every PNG that is left out. */
  skipped: string[];
}

/** What the studio's page calls: `gallery` of `window.detailGuidanceHost`. Nothing of it rejects. */
export interface GalleryBridge {
  /** All pictures. */
  list(): Promise<Outcome<GalleryList>>;
  /** The bytes of one; null when it is gone. */
  read(file: string): Promise<Outcome<Uint8Array | null>>;
  /** Keeps a PNG that the package made, whole or not at all; gives the name of its file. BAD_TENSOR, OUTPUT_UNWRITABLE */
  write(png: Uint8Array, name: string): Promise<Outcome<string>>;
  /** Removes one. */
  remove(file: string): Promise<Outcome<null>>;
}
