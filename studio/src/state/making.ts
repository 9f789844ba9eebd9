/** Which pictures are made: begun, ended, and told of when they are done. */
import { cancelJob } from '../api/client';
import type { ImageRequest } from '../api/types';

import { follow } from './following';
import { isLive } from './live';
import { activeIn, fresh, isActive, put, runs, update, type Run } from './runs';
import { Turns } from './turns';

/** Told of every picture that is done. */
export const onDone = new Set<(run: Run) => void>();

/** Jobs that one page has at the server at a time: a contact sheet must not fill the queue for others. */
const atServer = new Turns(5);
const aborts = new Map<string, AbortController>();

/** Its pictures are kept in the gallery, but for those that only follow a slider; and taken up again. */
export const isOfFirstPage = (place: string) => place.startsWith('make/');

/** Makes a picture at a place of the page, in place of what is made there now. */
export function start(place: string, request: ImageRequest): void {
  stop(place);
  const run = { ...fresh(place, request), isToKeep: isOfFirstPage(place) && !isLive.value };
  const before = runs.value[place];
  // On the first page the picture before stays in sight until there is something of the new one, but for another bundle's.
  // Elsewhere what stands over it and under it is of the new one at once.
  const stays = before && isOfFirstPage(place) && before.request.bundle === request.bundle;
  put(place, stays ? { ...run, picture: before.picture, pictureOf: before.pictureOf } : run);
  void takeUp(run);
}

/** Settles when it has ended, or is stopped. */
export async function takeUp(run: Run): Promise<void> {
  const { place } = run;
  const abort = new AbortController();
  aborts.set(place, abort);
  const isMade = await atServer.take(abort.signal, () => follow(run, abort.signal));
  if (abort.signal.aborted) return;
  aborts.delete(place);
  if (isMade) for (const listener of onDone) listener(runs.value[place]!);
}

/** Ends what is made at a place; what is there stays. */
export function stop(place: string): void {
  const run = runs.value[place];
  if (!run || !isActive(run)) return;
  update(place, { state: 'stopped' });
  aborts.get(place)?.abort();
  if (run.job) void cancelJob(run.job).catch(() => undefined);
}

export function stopAll(prefix: string): void {
  for (const { place } of activeIn(prefix)) stop(place);
}
