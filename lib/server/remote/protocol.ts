/** What server and workers say to each other through Redis. */
import { createHash } from 'node:crypto';

import type { BundleManifest } from '../../bundle';
import type { Plan } from '../../plan';
import type { PictureFacts } from '../job';
import type { JobEvents } from '../jobEvents';
import type { ImageRequestInput } from '../request';

/** A job: a request that was validated, with its seed, and the bundle it is meant for. */
export interface RemoteRequest {
  /** Of the package that put it into the queue. */
  version?: string;
  bundle: string;
  checksum: string;
  /** Null when it has ended. */
  request: ImageRequestInput | null;
}

/** What a worker tells while it runs a job. */
export type RemoteNews = {
  [Name in keyof JobEvents]: { name: Name; data: JobEvents[Name] };
}[keyof JobEvents];

/** What a job comes to. The pictures are in the result store. */
export interface RemoteResult {
  images: (PictureFacts & { key: string })[];
  plan: Plan;
  evaluations: number;
  seconds: number;
}

/** What a worker says of itself, every few seconds. */
export interface Announcement {
  id: string;
  host: string;
  /** Of its package. */
  version: string;
  bundles: { name: string; checksum: string }[];
  device: string;
  /** Bytes; null where nobody says. */
  freeMemory: number | null;
  running: number;
}

/** What of its news a worker passes on; a later version of it may know others. */
export const eventNames: ReadonlySet<string> = new Set(['progress', 'step', 'preview', 'warning']);

export const cancelChannel = 'detail-guidance:cancel';
/** Written to see whether Redis takes it. */
export const probeKey = 'detail-guidance:probe';
export const announcementKey = (id: string) => `detail-guidance:worker:${id}`;

/** A queue for each bundle, so that a worker takes only jobs whose bundle it has, to the byte. */
export const queueName = (checksum: string) => `detail-guidance-${checksum}`;

/** Of all of a bundle's files, by the checksums in its manifest. */
export function bundleChecksum({ files }: BundleManifest): string {
  const lines = Object.keys(files)
    .sort()
    .map((name) => `${files[name]!.sha256} ${name}\n`);
  return createHash('sha256').update(lines.join('')).digest('hex').slice(0, 16);
}
