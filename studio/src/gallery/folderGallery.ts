/** Pictures as files in a folder, which a desktop application keeps: what is known of each is what its PNG says. */
import type { GalleryBridge, GalleryPicture } from '../../../lib/electron/galleryTypes';
import type { Outcome } from '../../../lib/electron/types';
import type { ImageRequest } from '../api/types';
import { restored } from '../png/metadata';
import { bundles } from '../state/bundles';
import { say } from '../state/messages';
import { clipped, entriesOf } from '../state/sound';
import { subjectInWords, titleOf } from '../state/request';
import { viewOf } from '../state/takeOver';

import type { GalleryStore, KeptPicture } from './store';

function valueOf<Value>(outcome: Outcome<Value>): Value {
  if (outcome.ok) return outcome.value;
  throw new Error(outcome.error.message);
}

export class FolderGallery implements GalleryStore {
  #said: ReadonlySet<string> = new Set();

  constructor(private readonly folder: GalleryBridge) {}

  async list(): Promise<KeptPicture[]> {
    const { pictures, skipped } = valueOf(await this.folder.list());
    // Each is said once.
    const fresh = skipped.filter((sentence) => !this.#said.has(sentence));
    this.#said = new Set(skipped);
    for (const sentence of fresh.slice(0, 3)) say(`${sentence} It is left out of the gallery.`);
    if (fresh.length > 3) say(`${fresh.length - 3} more files are left out of the gallery.`);
    return pictures.map(keptOf);
  }

  async add({ title, seed }: KeptPicture, png: Uint8Array): Promise<void> {
    valueOf(await this.folder.write(png, `${title} ${seed}`));
  }

  async png(id: string): Promise<Blob | null> {
    const png = valueOf(await this.folder.read(id)) as Uint8Array<ArrayBuffer> | null;
    return png && new Blob([png], { type: 'image/png' });
  }

  async remove(id: string): Promise<void> {
    valueOf(await this.folder.remove(id));
  }
}

function keptOf({ file, created, width, height, bundle: name, options }: GalleryPicture): KeptPicture {
  const of = bundles.value.find((bundle) => bundle.name === name) ?? null;
  const request: ImageRequest = { ...entriesOf(restored(options)), bundle: of?.id ?? name };
  const seed = Number(request.seed);
  return {
    id: file,
    created,
    bundle: of?.id ?? name,
    title: clipped(`${titleOf(viewOf(entriesOf(request.guidance)))}: ${subjectInWords(request, of)}`),
    request,
    seed: Number.isSafeInteger(seed) ? seed : 0,
    width,
    height,
    evaluations: null,
    cost: null,
    seconds: null,
  };
}
