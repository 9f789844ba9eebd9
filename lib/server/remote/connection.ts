/** BullMQ and its Redis client: installed by those who use more than one machine. */
import type * as BullMq from 'bullmq';
import type { Redis, RedisOptions } from 'ioredis';
import type { Logger } from 'pino';

import { invalid } from '../../validation/invalid';

/** @throws BAD_OPTION where the packages are not installed, or the URL is none */
export async function loadBullMq(url: string): Promise<{ bullmq: typeof BullMq; Redis: typeof Redis }> {
  if (!/^rediss?:\/\//.test(url) || !URL.canParse(url) || !/^(\/\d*)?$/.test(new URL(url).pathname)) {
    // Not its password.
    const shown = url.replace(/\/\/.*@/, '//…@');
    throw invalid('redis', "a URL such as 'redis://127.0.0.1:6379', with '/1' for a database of its own", shown);
  }
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
const retryDelay = (tries: number) => Math.min(100 * 2 ** Math.min(tries, 6), 3000);

/** Milliseconds after which a command that waits in Redis is answered, or the connection is dead. */
const waitPatience = 15_000;

/** Milliseconds in which the same complaint is logged once: a client that tries again hears it every few seconds. */
const sayAgainAfter = 600_000;

/** Logs what Redis says, each complaint once in a while, however many connections hear it in turn. */
export function sayingOnce(log: Pick<Logger, 'warn'>): (error: Error) => void {
  const said = new Map<string, number>();
  return ({ message }) => {
    const now = Date.now();
    for (const [earlier, at] of said) if (now - at >= sayAgainAfter) said.delete(earlier);
    if (said.has(message)) return;
    said.set(message, now);
    log.warn({ err: message }, 'redis');
  };
}

/** The connections of one server or worker, and the copies that BullMQ makes of them: none outlives `close`. */
export class Connections {
  readonly #all = new Set<Redis>();
  readonly say: (error: Error) => void;

  constructor(
    private readonly Client: typeof Redis,
    private readonly url: string,
    log: Logger,
  ) {
    this.say = sayingOnce(log);
  }

  /** For commands whose caller waits: fails at once while Redis is away. */
  impatient(): Redis {
    return this.#open({ enableOfflineQueue: false, maxRetriesPerRequest: 1, connectTimeout: 3000 });
  }

  /** For what listens and works: waits until Redis is back. */
  patient(): Redis {
    return this.#open({ maxRetriesPerRequest: null });
  }

  /** For a command that waits in Redis for some seconds: fails while Redis is away, also where nobody says that it is. */
  waiting(): Redis {
    return this.#open({
      enableOfflineQueue: false,
      maxRetriesPerRequest: 1,
      connectTimeout: 3000,
      socketTimeout: waitPatience,
    });
  }

  /** In order where Redis is there, and after a moment where it is away: BullMQ would wait for it to come back. */
  async close(leaving: Promise<unknown>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const moment = new Promise((resolve) => (timer = setTimeout(resolve, 2000)));
    await Promise.race([leaving.catch(() => undefined), moment]);
    clearTimeout(timer);
    for (const client of this.#all) {
      client.disconnect();
      // It says nothing where it was about to try again, and BullMQ waits for its word, with a timer that keeps the process.
      if (client.status === 'reconnecting') client.emit('end');
    }
  }

  #open(options: RedisOptions): Redis {
    const client = new this.Client(this.url, { ...options, retryStrategy: retryDelay });
    const duplicate = client.duplicate.bind(client);
    client.duplicate = (override) => this.#keep(duplicate(override));
    return this.#keep(client);
  }

  #explained(error: Error): Error {
    const isSilent = this.url.startsWith('rediss:') && error.message === 'connect ETIMEDOUT';
    return isSilent ? new Error(`${error.message}: rediss:// is for a port that speaks TLS`) : error;
  }

  #keep(client: Redis): Redis {
    this.#all.add(client);
    withoutName(client);
    client.on('error', (error) => {
      this.say(this.#explained(error));
      // It would go on in database 0, which is somebody else's.
      if (/\b(DB index|SELECT)\b/.test(error.message)) client.disconnect(true);
    });
    return client;
  }
}

/** The name of a connection is for operators, and a user of Redis may not be allowed to give one: BullMQ would not listen. */
function withoutName(client: Redis): void {
  const command = client.client.bind(client) as (...words: unknown[]) => Promise<unknown>;
  const named = (...words: unknown[]) =>
    command(...words).catch((error: Error) => {
      if (words[0] === 'SETNAME' && error.message.startsWith('NOPERM')) return null;
      throw error;
    });
  Object.assign(client, { client: named });
}
