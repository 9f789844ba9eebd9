/**
 * Takes jobs from the queues of several bundles, one after the other. BullMQ's own loop takes from one queue: with one for
 * each bundle a worker would hold jobs of all of them, and run one, while other machines have nothing to do.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Job as BullJob, Worker as BullWorker } from 'bullmq';
import type { Redis } from 'ioredis';

import type { RemoteRequest, RemoteResult } from './protocol';

/** Milliseconds: a worker that has not renewed its lock for so long is taken to be dead, and its job given to another. */
export const lockDuration = 10_000;
/** Seconds after which the queues are looked at though nothing was put there. */
const lookEvery = 5;
/** Milliseconds after which a Redis that refused, or went away, is asked again. */
const askAgainAfter = 1000;

type RemoteJob = BullJob<RemoteRequest, RemoteResult>;

/** A queue, and what is to be done with its jobs. */
export interface Source {
  worker: BullWorker<RemoteRequest, RemoteResult>;
  /** Rejects with what the job failed with, as BullMQ is to be told it. */
  run: (bull: RemoteJob) => Promise<RemoteResult>;
}

export class JobLoop {
  readonly #stop = new AbortController();
  /** The one that comes first is asked first; the one that gave a job is asked last. */
  #sources: Source[];
  #run: Promise<unknown> = Promise.resolve();
  #end: Promise<void> = Promise.resolve();

  /**
   * @param waiter a connection that waits for jobs, and for nothing else
   * @param say hears what Redis refuses with
   */
  constructor(
    sources: readonly Source[],
    private readonly waiter: Redis,
    private readonly say: (error: Error) => void,
  ) {
    this.#sources = [...sources];
  }

  start(): void {
    for (const { worker } of this.#sources) void worker.startStalledCheckTimer();
    this.#end = this.#work();
  }

  /** Takes no further job. */
  stop(): void {
    this.#stop.abort();
    this.waiter.disconnect();
  }

  /** Settles when the job that runs has its pictures, or has failed. */
  get idle(): Promise<unknown> {
    return this.#run;
  }

  /** Settles when Redis has been told of the last one, too. */
  get end(): Promise<void> {
    return this.#end;
  }

  get #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  async #work(): Promise<void> {
    while (!this.#isStopped) {
      try {
        if (!(await this.#takeOne())) await this.#waitForJobs();
      } catch (error) {
        if (this.#isStopped) return;
        this.say(error as Error);
        await sleep(askAgainAfter, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      }
    }
  }

  /** Runs a job of the first queue that has one. */
  async #takeOne(): Promise<boolean> {
    for (const source of this.#sources) {
      const token = randomUUID();
      const bull = (await source.worker.getNextJob(token, { block: false })) as RemoteJob | undefined;
      if (!bull) continue;
      this.#sources = [...this.#sources.filter((other) => other !== source), source];
      if (this.#isStopped) await bull.moveToWait(token);
      else await this.#finish(bull, token, source);
      return true;
    }
    return false;
  }

  async #finish(bull: RemoteJob, token: string, { run }: Source): Promise<void> {
    const renewal = setInterval(() => void bull.extendLock(token, lockDuration).catch(this.say), lockDuration / 2);
    const running = run(bull);
    this.#run = running.catch(() => undefined);
    try {
      await bull.moveToCompleted(await running.finally(() => clearInterval(renewal)), token, false);
    } catch (error) {
      await bull.moveToFailed(error as Error, token, false);
    }
    // It can be megabytes, and nobody needs it any more. Not earlier: another worker may have to begin anew.
    if (bull.finishedOn !== undefined) await bull.updateData({ ...bull.data, request: null }).catch(() => undefined);
  }

  /** Until there is a job, perhaps. BullMQ leaves a mark where it puts one; who takes the mark looks there. */
  async #waitForJobs(): Promise<void> {
    const { signal } = this.#stop;
    if (this.waiter.status !== 'ready') await once(this.waiter, 'ready', { signal });
    const keys = this.#sources.map(({ worker }) => worker.toKey('marker'));
    const [key] = (await this.waiter.bzpopmin(keys, lookEvery)) ?? [];
    const marked = this.#sources.filter(({ worker }) => worker.toKey('marker') === key);
    this.#sources = [...marked, ...this.#sources.filter((source) => !marked.includes(source))];
  }
}
