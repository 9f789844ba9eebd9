/**
 * The pause before another try, by Redis's clock. BullMQ keeps pauses as times of day, by the clock of the machine that
 * failed, and ends them by the clock of any machine that looks: where clocks differ, at once, or after hours.
 */
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';

/** Name of this kind of pause in a job's options. */
export const pause = 'pause';
/** Milliseconds between two looks at those that pause. */
export const wakeEvery = 500;

/** Milliseconds of the pause after so many tries. */
const pauseLength = (tries: number) => 1000 * 2 ** (tries - 1);
/** Milliseconds that BullMQ is told: clocks may be wrong by as much before it wakes a job by itself. */
const farAway = 365 * 86_400_000;
/** Jobs that are looked at in one go. */
const atOnce = 100;

const pauseKey = (id: string) => `detail-guidance:pause:${id}`;

/**
 * Begins the pause of a job.
 *
 * @returns its delay for BullMQ, which is too long: `wakePaused` ends it
 */
export async function beginPause(redis: Redis, id: string, tries: number): Promise<number> {
  const length = pauseLength(tries);
  try {
    await redis.set(pauseKey(id), '', 'PX', length);
    const [seconds] = await redis.time();
    return Math.max(length, Number(seconds) * 1000 + farAway - Date.now());
  } catch {
    // Redis went away: it is told of the failure when it is back.
    return length;
  }
}

/** Puts jobs whose pause is over back among those that wait. */
export async function wakePaused(redis: Redis, queue: Queue): Promise<void> {
  for (const id of await redis.zrange(queue.toKey('delayed'), '0', String(atOnce - 1))) {
    if ((await redis.exists(pauseKey(id))) > 0) continue;
    const job = await queue.getJob(id);
    // Another machine may have been faster.
    await job?.promote().catch(() => undefined);
  }
}
