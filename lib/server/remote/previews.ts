/**
 * Previews on their way from a worker to the servers whose clients follow a job. They are large and soon old: Redis passes
 * them on to who listens (Pub/Sub) and keeps none, and where nobody listens the worker makes none but the first.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import type { Redis } from 'ioredis';

import type { Job } from '../job';
import type { PreviewEvent } from '../jobEvents';

/** Milliseconds after which a worker asks again whether somebody listens. */
const askEvery = 500;

const channels = 'detail-guidance:preview:';
const channelOf = ({ id }: Job) => channels + id;

/** Listens for the previews of a server's jobs, while somebody follows them. */
export class PreviewListener {
  /** @param listener a connection that does nothing else */
  constructor(
    private readonly listener: Redis,
    jobs: ReadonlyMap<string, Job>,
    private readonly say: (error: Error) => void,
  ) {
    listener.on('message', (channel: string, text: string) => {
      try {
        jobs.get(channel.slice(channels.length))?.tell('preview', JSON.parse(text) as PreviewEvent);
      } catch (error) {
        // Whoever may write to Redis may send anything.
        this.say(error as Error);
      }
    });
  }

  mind(job: Job): void {
    job.onFollow = () => {
      const isWanted = job.isFollowed && !job.hasEnded;
      const change = isWanted ? this.listener.subscribe(channelOf(job)) : this.listener.unsubscribe(channelOf(job));
      void change.catch(this.say);
    };
  }
}

/** Sends the previews of a job while a server listens for them; ends with the job. */
export async function sendPreviews(job: Job, redis: Redis): Promise<void> {
  while (!job.hasEnded) {
    if (await isHeard(job, redis)) await sendWhileHeard(job, redis);
    else await sleep(askEvery, undefined, { ref: false });
  }
}

/** Who reads the events follows the job: its previews are made. */
async function sendWhileHeard(job: Job, redis: Redis): Promise<void> {
  for await (const { name, data } of job.events()) {
    if (name !== 'preview') continue;
    const listeners = await redis.publish(channelOf(job), JSON.stringify(data)).catch(() => 0);
    if (listeners === 0) return;
  }
}

async function isHeard(job: Job, redis: Redis): Promise<boolean> {
  const [, listeners] = (await redis.pubsub('NUMSUB', channelOf(job)).catch(() => [])) as unknown[];
  return Number(listeners) > 0;
}
