/** BullMQ and its Redis client: installed by those who use more than one machine. */
import type * as BullMq from 'bullmq';
import type { Redis } from 'ioredis';

import { invalid } from '../../validation/invalid';

/** @throws BAD_OPTION where the packages are not installed, or the URL is none */
export async function loadBullMq(url: string): Promise<{ bullmq: typeof BullMq; Redis: typeof Redis }> {
  if (!/^rediss?:\/\//.test(url)) throw invalid('redis', "a URL such as 'redis://127.0.0.1:6379'", url);
  try {
    const [bullmq, ioredis] = await Promise.all([import('bullmq'), import('ioredis')]);
    return { bullmq, Redis: ioredis.Redis };
  } catch (cause) {
    throw invalid('redis', 'the packages bullmq and ioredis to be installed', undefined, {
      cause,
      note: 'npm install bullmq ioredis',
    });
  }
}

/** Milliseconds between two tries to reach a Redis that is away. */
export const retryDelay = (tries: number) => Math.min(100 * 2 ** Math.min(tries, 6), 3000);

/** Leaves in order where Redis is there, and after a moment where it is away: BullMQ would wait for it to come back. */
export async function withoutWaitingForRedis(leaving: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const moment = new Promise((resolve) => (timer = setTimeout(resolve, 2000)));
  await Promise.race([leaving.catch(() => undefined), moment]);
  clearTimeout(timer);
}

/** For commands whose caller waits: fails at once while Redis is away. */
export function impatient(Client: typeof Redis, url: string): Redis {
  const client = new Client(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    connectTimeout: 3000,
    retryStrategy: retryDelay,
  });
  // Said by the commands that fail.
  client.on('error', () => undefined);
  return client;
}

/** For what listens and works: waits until Redis is back. */
export function patient(Client: typeof Redis, url: string): Redis {
  const client = new Client(url, { maxRetriesPerRequest: null, retryStrategy: retryDelay });
  client.on('error', () => undefined);
  return client;
}
