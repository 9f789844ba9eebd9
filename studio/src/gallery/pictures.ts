/** The gallery as the page sees it; other tabs are told when it changes. */
import { computed, effect, signal } from '@preact/signals';

import { galleryFolder } from '../host';
import { bundles } from '../state/bundles';
import { onDone } from '../state/making';
import { say } from '../state/messages';
import { planFor } from '../state/plans';
import { subjectInWords, titleOf } from '../state/request';
import { runs, update, type Run } from '../state/runs';
import { clipped, entriesOf } from '../state/sound';
import { viewOf } from '../state/takeOver';

import { BrowserGallery } from './browserGallery';
import { FolderGallery } from './folderGallery';
import type { GalleryStore, KeptPicture } from './store';

export const gallery: GalleryStore = galleryFolder ? new FolderGallery(galleryFolder) : new BrowserGallery();

export const pictures = signal<readonly KeptPicture[] | null>(null);
const channel = new BroadcastChannel('detail-guidance.gallery');

export async function loadPictures(): Promise<void> {
  try {
    pictures.value = await gallery.list();
  } catch (error) {
    pictures.value = [];
    say(`The gallery cannot be read${reasonOf(error)}`);
  }
}

/** The end of a sentence about what did not work. */
function reasonOf(error: unknown): string {
  const { name, message } = error instanceof Error || error instanceof DOMException ? error : new Error(String(error));
  if (name === 'QuotaExceededError')
    return ': the browser gives this page no more room. Delete pictures from the gallery.';
  if (name === 'SecurityError' || name === 'InvalidStateError' || name === 'ReferenceError')
    return ': the browser lets this page keep nothing, as in a private window. Save the PNG instead.';
  return `: ${message}`;
}

/** Other tabs are told, and the list of this one is read again where it was read. */
async function changed(): Promise<void> {
  channel.postMessage('changed');
  if (pictures.value !== null) await loadPictures();
}

export async function keep(run: Run): Promise<void> {
  if (!run.png || !run.job) return;
  const { request } = run;
  const view = viewOf(entriesOf(request.guidance));
  const of = bundles.value.find(({ id }) => id === request.bundle) ?? null;
  // Of the picture: what the page plans may be something else by now.
  const planned = await planFor(request).catch(() => null);
  try {
    await gallery.add(
      {
        id: run.job,
        created: Date.now(),
        bundle: request.bundle ?? '',
        title: clipped(`${titleOf(view)}: ${subjectInWords(request, of)}`),
        // The mask is small, and its painter gone; pictures to start from are large.
        request: { ...request, image: undefined },
        seed: Number(request.seed ?? 0),
        width: run.width ?? 0,
        height: run.height ?? 0,
        evaluations: run.evaluations,
        cost: planned?.explanation.costOverClassifierFree ?? null,
        seconds: run.seconds,
      },
      run.png,
    );
    if (runs.value[run.place]?.job === run.job) update(run.place, { isToKeep: false });
    await changed();
  } catch (error) {
    say(`The picture could not be kept in the gallery${reasonOf(error)}`);
  }
}

export async function remove(id: string): Promise<void> {
  try {
    await gallery.remove(id);
  } catch (error) {
    say(`The picture could not be taken out of the gallery${reasonOf(error)}`);
  }
  await changed();
}

const offered = computed(() => JSON.stringify(bundles.value.map(({ id, name, classes }) => [id, name, classes])));

/** What is made on the first page is kept; contact sheets are not, nor what only follows a slider. */
export function keepWhatIsMade(): void {
  onDone.add((run) => {
    if (run.isToKeep) void keep(run);
  });
  // A PNG of the folder says the name of its bundle: what else is known of it is found among those that the server offers.
  if (galleryFolder) effect(() => void (offered.value && pictures.peek() !== null && loadPictures()));
  channel.onmessage = () => {
    if (pictures.value !== null) void loadPictures();
  };
}
