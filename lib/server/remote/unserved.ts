/** A job that waits for a bundle that no worker has, to the byte: its client and the operator are told. */
import type { Job } from '../job';

import type { Announcement } from './protocol';

/** @param say writes it to the log, for the operator */
export function tellUnserved(
  job: Job,
  checksum: string,
  workers: readonly Announcement[],
  say: (error: Error) => void,
): void {
  const offers = workers.flatMap(({ bundles }) => bundles);
  if (offers.some((offer) => offer.checksum === checksum)) return;
  const others = offers.filter(({ name }) => name === job.bundle).map((offer) => offer.checksum);
  const note = others.length > 0 ? ` (there are workers with ${[...new Set(others)].join(', ')})` : '';
  const message = `No worker has the bundle '${job.bundle}' with the checksum ${checksum}${note}: its jobs wait for one.`;
  job.tell('warning', { code: 'NO_WORKER', message });
  say(new Error(message));
}
