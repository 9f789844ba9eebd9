/** What becomes of the jobs of this server's clients: told by the queue's events, and looked for where they were missed. */
import { setTimeout as sleep } from 'node:timers/promises';

import type { QueueEvents } from 'bullmq';
import type { Redis } from 'ioredis';

import { reasonOf } from '../../validation/invalid';
import type { Job } from '../job';
import type { JobEvents } from '../jobEvents';
import type { Problem } from '../problem';

import { announcedWorkers } from './announced';
import type { Line } from './lines';
import { PreviewListener } from './previews';
import { cancelChannel, eventNames, type RemoteNews, type RemoteResult } from './protocol';
import { problemIn } from './queued';
import { reached } from './reached';
import type { ResultStore } from './resultStore';
import { tellUnserved } from './unserved';

/** Milliseconds between two looks at jobs whose end was not told. */
const lookEvery = 5000;
/** Milliseconds after which events that Redis refuses are asked for again. */
const listenAgainAfter = 2000;

export class Follower {
  /** Jobs of this server's clients, which are told what the queue says of them. */
  readonly jobs = new Map<string, Job>();
  /** Those of them whose end is to be told, with their queues: another server may call their bundle otherwise. */
  readonly #open = new Map<Job, Line>();
  /** Those of them that were told of workers once: that there is none for them. */
  readonly #told = new WeakSet<Job>();
  readonly #previews: PreviewListener;
  readonly #looking: NodeJS.Timeout;
  #isClosing = false;

  /**
   * @param listener a connection for previews alone
   * @param say hears what Redis refuses with
   */
  constructor(
    private readonly client: Redis,
    listener: Redis,
    private readonly store: ResultStore,
    private readonly say: (error: Error) => void,
  ) {
    this.#previews = new PreviewListener(listener, this.jobs, say);
    this.#looking = setInterval(() => void this.#look().catch(() => undefined), lookEvery);
  }

  /** Hears the events of a queue until `close`. */
  async follow({ queue, events }: Line): Promise<void> {
    this.#listen(events, queue);
    // BullMQ's reader ends with what Redis refuses, for good: it begins anew, as that may be mended.
    while (!this.#isClosing) {
      await events.run().catch(this.say);
      await sleep(listenAgainAfter, undefined, { ref: false });
    }
  }

  /** A job that is in the queue: its end will be told, and it is withdrawn when it is cancelled. */
  mind(job: Job, line: Line): void {
    if (!job.hasEnded) this.#open.set(job, line);
    this.#previews.mind(job);
    job.signal.addEventListener('abort', () => void this.withdraw(job).catch(() => undefined), { once: true });
  }

  /** Jobs that somebody here waits for, to answer with what they come to. */
  get awaited(): Job[] {
    return [...this.#open.keys()].filter(({ isAwaited, hasEnded }) => isAwaited && !hasEnded);
  }

  /** Takes a job back. */
  async withdraw(job: Job): Promise<void> {
    const bull = await this.#open.get(job)?.queue.getJob(job.id);
    // One that runs is locked by its worker, which is told.
    const removed = await bull?.remove().then(
      () => true,
      () => false,
    );
    if (removed) job.endCancelled();
    else await this.client.publish(cancelChannel, job.id);
  }

  /** Ends a job that has ended in the queue, or that the queue does not have any more. */
  async take(job: Job, queue: Line['queue']): Promise<void> {
    const state = await this.#reached(() => queue.getJobState(job.id));
    if (state === 'unknown') {
      if (job.signal.aborted) job.endCancelled();
      else if (this.#open.has(job)) job.fail(lost);
    } else if (state === 'completed' || state === 'failed') {
      // After its state: what was fetched before has no end.
      const bull = await this.#reached(() => queue.getJob(job.id));
      if (bull && state === 'completed') await this.#complete(job, bull.returnvalue);
      else if (bull) endFailed(job, bull.failedReason);
    }
  }

  close(): void {
    this.#isClosing = true;
    clearInterval(this.#looking);
  }

  #reached<Result>(work: () => Promise<Result>): Promise<Result> {
    return reached(work, this.say);
  }

  #listen(events: QueueEvents, queue: Line['queue']): void {
    events.on('active', ({ jobId }) => this.jobs.get(jobId)?.start());
    events.on('progress', ({ jobId, data }) => {
      const { name, data: told } = data as unknown as RemoteNews;
      if (eventNames.has(name)) this.jobs.get(jobId)?.tell(name, told as JobEvents[typeof name]);
    });
    events.on('completed', ({ jobId, returnvalue }) => {
      const job = this.jobs.get(jobId);
      if (job) void this.#complete(job, returnvalue as unknown as RemoteResult);
    });
    events.on('failed', ({ jobId }) => {
      const job = this.jobs.get(jobId);
      // Also told of a try that is followed by another.
      if (job) void this.take(job, queue).catch(() => undefined);
    });
    events.on('removed', ({ jobId }) => this.jobs.get(jobId)?.endCancelled());
  }

  /** The queue tells how jobs end, but for what it said while nobody heard it, and of what Redis has lost. */
  async #look(): Promise<void> {
    for (const [job, { queue }] of this.#open) {
      // What cannot be asked for one job does not keep the others. Who was to cancel it may not have heard it.
      if (job.signal.aborted && !job.hasEnded) await this.withdraw(job).catch(() => undefined);
      if (job.hasEnded) this.#open.delete(job);
      else await this.take(job, queue).catch(() => undefined);
    }
    const waiting = [...this.#open].filter(([job]) => job.state === 'queued' && !this.#told.has(job));
    if (waiting.length === 0) return;
    const workers = await this.#reached(() => announcedWorkers(this.client));
    for (const [job, { checksum }] of waiting) {
      tellUnserved(job, checksum, workers, this.say);
      this.#told.add(job);
    }
  }

  /** Does not throw, whatever the worker gave. */
  async #complete(job: Job, result: RemoteResult): Promise<void> {
    this.#open.delete(job);
    try {
      const { images, ...rest } = result;
      const pictures = [];
      for (const { key, ...image } of images) {
        const png = await this.store.get(key);
        if (!png) throw new Error('it has lost the picture');
        pictures.push({ ...image, png });
      }
      job.finish({ images: pictures, ...rest });
    } catch (error) {
      // The queue still has the job: who asks again has it looked up again.
      this.jobs.delete(job.id);
      const message = `The result store does not give the picture: ${reasonOf(error)}.`;
      job.fail({ code: 'RESULT_UNAVAILABLE', message, type: 'server_error' });
    }
  }
}

/** Redis was started anew without what it held, or somebody took it away. */
const lost: Problem = {
  code: 'QUEUE_UNAVAILABLE',
  message: 'Redis, which holds the queue, has lost the job.',
  type: 'server_error',
};

function endFailed(job: Job, reason: string): void {
  const problem = problemIn(reason);
  if (problem.code === 'CANCELLED') job.endCancelled();
  else job.fail(problem);
}
