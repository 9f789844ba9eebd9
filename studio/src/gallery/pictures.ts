/** The gallery as the page sees it; other tabs are told when it changes. */
import { signal } from '@preact/signals';

import { galleryFolder } from '../host';
import { bundle } from '../state/bundles';
import { isLive } from '../state/live';
import { say } from '../state/messages';
import { plans } from '../state/plans';
import { subjectInWords, titleOf } from '../state/request';
import { onDone, type Run } from '../state/runs';
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
    say(`The gallery cannot be read: ${reasonOf(error)}`);
  }
}

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

async function changed(): Promise<void> {
  channel.postMessage('changed');
  await loadPictures();
}

export async function keep(run: Run): Promise<void> {
  if (!run.png || !run.job) return;
  const { guidance } = run.request;
  const view = viewOf(typeof guidance === 'object' ? guidance : {});
  const cost = plans.value[view]?.planned?.explanation.costOverClassifierFree ?? null;
  try {
    await gallery.add(
      {
        id: run.job,
        created: Date.now(),
        bundle: run.request.bundle ?? '',
        title: `${titleOf(view)}: ${subjectInWords(run.request, bundle.value)}`,
        request: { ...run.request, image: undefined, maskImage: undefined },
        seed: Number(run.request.seed ?? 0),
        width: run.width ?? 0,
        height: run.height ?? 0,
        evaluations: run.evaluations,
        cost,
        seconds: run.seconds,
      },
      run.png,
    );
    await changed();
  } catch (error) {
    say(`The picture could not be kept in the gallery: ${reasonOf(error)}`);
  }
}

export async function remove(id: string): Promise<void> {
  try {
    await gallery.remove(id);
  } catch (error) {
    say(`The picture could not be taken out of the gallery: ${reasonOf(error)}`);
  }
  await changed();
}

/** What is made on the first page is kept; contact sheets are not, nor what only follows a slider. */
export function keepWhatIsMade(): void {
  onDone.add((run) => {
    if (run.place.startsWith('make/') && !isLive.value) void keep(run);
  });
  channel.onmessage = () => void loadPictures();
}
