/** The queues in Redis, one for each bundle. */
import type * as BullMq from 'bullmq';
import type { Redis } from 'ioredis';

import type { Connections } from './connection';
import { queueName, type RemoteRequest, type RemoteResult } from './protocol';

/** Of its events a queue keeps so many, for servers that read them a little later: those that are missed are looked for. */
export const streams = { events: { maxLen: 1000 } };

export interface Line {
  checksum: string;
  queue: BullMq.Queue<RemoteRequest, RemoteResult>;
  events: BullMq.QueueEvents;
}

export function openLine(bullmq: typeof BullMq, checksum: string, client: Redis, connections: Connections): Line {
  const name = queueName(checksum);
  const queue = new bullmq.Queue<RemoteRequest, RemoteResult>(name, { connection: client, streams });
  const events = new bullmq.QueueEvents(name, { connection: connections.patient(), autorun: false });
  queue.on('error', connections.say);
  events.on('error', connections.say);
  return { checksum, queue, events };
}

/** BullMQ keeps jobs with a priority, and those that wait for another try, apart from the others. */
export function countWaiting({ queue }: Line): Promise<number> {
  return queue.getJobCountByTypes('waiting', 'prioritized', 'delayed');
}
