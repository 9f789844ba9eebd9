/** Events as bytes of a stream of server-sent events. */
import type { JobEvent } from './jobEvents';

/** Of events that somebody may still ask for: many readers of one job get the same bytes. */
const bytesOf = new WeakMap<JobEvent, Uint8Array>();

/** JSON has no line breaks, so that the data is one line. */
export function eventBytes(event: JobEvent): Uint8Array {
  let bytes = bytesOf.get(event);
  if (!bytes) {
    const { id, name, data } = event;
    bytes = new TextEncoder().encode(`event: ${name}\ndata: ${JSON.stringify(data)}\nid: ${id}\n\n`);
    bytesOf.set(event, bytes);
  }
  return bytes;
}
