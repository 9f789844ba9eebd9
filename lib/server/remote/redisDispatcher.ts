/** Jobs that wait in Redis (BullMQ) and are run by workers on any number of machines. */
import { randomInt, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Job as BullJob, Queue, QueueEvents } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';

import { version } from '../../files/version';
import { reasonOf } from '../../validation/invalid';
import type { Dispatcher } from '../dispatcher';
import { Job, type JobState, type JobSummary } from '../job';
import type { JobEvents } from '../jobEvents';
import { forgetOld, type Keeping } from '../keeping';
import { problemOf, ServerError, type Problem } from '../problem';
import { imageRequestSchema, jsonOf, type ImageRequest } from '../request';

import { Connections, loadBullMq } from './connection';
import {
  announcementKey,
  cancelChannel,
  eventNames,
  probeKey,
  queueName,
  type Announcement,
  type RemoteNews,
  type RemoteRequest,
  type RemoteResult,
} from './protocol';
import { bundleOf, problemIn, queueStates, summaryOf } from './queued';
import { reached, WriteProbe } from './reached';
import type { ResultStore } from './resultStore';
import { tellUnserved } from './unserved';
import { pause } from './retries';

export interface RedisDispatcherOptions extends Keeping {
  redis: string;
  store: ResultStore;
  maxQueue: number;
  /** The bundles that are offered, by name. */
  checksums: ReadonlyMap<string, string>;
  log: Logger;
}

interface Line {
  checksum: string;
  queue: Queue<RemoteRequest, RemoteResult>;
  events: QueueEvents;
}

/** After every priority that a request can name: BullMQ takes jobs that have none before all others. */
const lastPriority = 1_000_001;

/** Milliseconds between two looks at jobs whose end was not told. */
const lookEvery = 5000;
/** Milliseconds after which events that Redis refuses are asked for again. */
const listenAgainAfter = 2000;

export class RedisDispatcher implements Dispatcher {
  readonly #lines = new Map<string, Line>();
  /** Jobs of this server's clients, which are told what the queue says of them. */
  readonly #jobs = new Map<string, Job>();
  /** Those of them whose end is to be told, with their queues: another server may call their bundle otherwise. */
  readonly #open = new Map<Job, Line>();
  /** Those of them that were told of workers once: that there is none for them. */
  readonly #told = new WeakSet<Job>();
  /** Jobs of other servers that somebody asks for, while they are looked up. */
  readonly #finding = new Map<string, Promise<Job | null>>();
  readonly #looking: NodeJS.Timeout;
  readonly #probe: WriteProbe;
  #isClosing = false;

  private constructor(
    private readonly options: RedisDispatcherOptions,
    private readonly connections: Connections,
    private readonly client: Redis,
  ) {
    this.#looking = setInterval(() => void this.#look().catch(() => undefined), lookEvery);
    // BullMQ has questions of its own first: how old is it?
    const write = async () => {
      await Promise.all([...this.#lines.values()].map(({ queue }) => queue.waitUntilReady()));
      await client.set(probeKey, '', 'PX', 60_000);
    };
    this.#probe = new WriteProbe(write, connections.say);
  }

  /** @throws BAD_OPTION where BullMQ is not installed */
  static async open(options: RedisDispatcherOptions): Promise<RedisDispatcher> {
    const { bullmq, Redis: Client } = await loadBullMq(options.redis);
    const connections = new Connections(Client, options.redis, options.log);
    const client = connections.impatient();
    const dispatcher = new RedisDispatcher(options, connections, client);
    for (const checksum of new Set(options.checksums.values())) {
      const name = queueName(checksum);
      const queue = new bullmq.Queue<RemoteRequest, RemoteResult>(name, { connection: client });
      const events = new bullmq.QueueEvents(name, { connection: connections.patient(), autorun: false });
      queue.on('error', connections.say);
      events.on('error', connections.say);
      dispatcher.#lines.set(checksum, { checksum, queue, events });
      dispatcher.#listen(events, queue);
      void dispatcher.#follow(events);
    }
    return dispatcher;
  }

  async submit(bundle: string, request: ImageRequest): Promise<Job> {
    if (this.#isClosing) throw new ServerError('SHUTTING_DOWN', 'The server is about to stop.');
    const checksum = this.options.checksums.get(bundle)!;
    const line = this.#lines.get(checksum)!;
    const { queue } = line;
    const { maxQueue, keepSeconds } = this.options;
    // Drawn here, so that a worker that takes the job over makes the same picture.
    const seeded = { ...request, seed: request.seed ?? randomInt(2 ** 31) } as ImageRequest;
    const job = new Job(bundle, seeded, randomUUID());
    let addition: Promise<unknown> | undefined;
    await this.#reached(async (signal) => {
      const waiting = await countWaiting(queue);
      signal.throwIfAborted();
      if (waiting >= maxQueue) {
        throw new ServerError('QUEUE_FULL', `${maxQueue} jobs wait already; try again in 5 s.`, { 'Retry-After': '5' });
      }
      this.#jobs.set(job.id, job);
      addition = queue.add(
        'images',
        { version: version(), bundle, checksum, request: jsonOf(seeded) },
        {
          jobId: job.id,
          priority: request.priority ?? lastPriority,
          attempts: 4,
          backoff: { type: pause },
          removeOnComplete: { age: keepSeconds },
          // The dead letters: what failed for good, to be looked at.
          removeOnFail: { age: 7 * 86_400, count: 10_000 },
        },
      );
      await addition;
      job.tell('queued', { position: waiting + 1 });
    }).catch((error: unknown) => {
      this.#jobs.delete(job.id);
      // Nobody waits for what Redis takes after all.
      void addition?.then(() => queue.remove(job.id)).catch(() => undefined);
      throw error;
    });
    this.#mind(job, line);
    forgetOld(this.#jobs, this.options);
    return job;
  }

  find(id: string): Promise<Job | null> {
    // First: one that is being looked up is among the jobs already, without what it came to.
    const finding = this.#finding.get(id);
    if (finding) return finding;
    const known = this.#jobs.get(id);
    if (known) return Promise.resolve(known);
    const search = this.#lookUp(id).finally(() => this.#finding.delete(id));
    this.#finding.set(id, search);
    return search;
  }

  async #lookUp(id: string): Promise<Job | null> {
    for (const line of this.#lines.values()) {
      const bull = await this.#reached(() => line.queue.getJob(id));
      if (bull) return this.#adopt(bull, line);
    }
    return null;
  }

  obstacle(): Promise<string | null> {
    return this.#probe.obstacle();
  }

  async list(state: JobState, limit: number): Promise<JobSummary[]> {
    const types = queueStates[state];
    return this.#reached(async () => {
      const lists = [...this.#lines.values()].map(({ queue }) => queue.getJobs(types, 0, limit - 1, false));
      return (await Promise.all(lists))
        .flat()
        .map((bull) => summaryOf(bull, state))
        .filter((summary) => summary.state === state)
        .sort((a, b) => (a.created < b.created ? 1 : -1))
        .slice(0, limit);
    });
  }

  forget(job: Job): void {
    this.#jobs.delete(job.id);
  }

  /** NaN while Redis, which knows, does not say. */
  async waiting(): Promise<number> {
    const counts = Promise.all([...this.#lines.values()].map(({ queue }) => countWaiting(queue)));
    return this.#reached(() => counts).then(
      (all) => all.reduce((sum, count) => sum + count, 0),
      () => NaN,
    );
  }

  running(): number {
    return [...this.#jobs.values()].filter(({ state }) => state === 'running').length;
  }

  /** The workers that have announced themselves lately. */
  async workers(): Promise<Announcement[]> {
    return this.#reached(async () => {
      const keys = new Set<string>();
      // Not KEYS: it holds Redis up, and careful operators forbid it.
      const scan = this.client.scanStream({ match: announcementKey('*'), count: 1000 });
      for await (const some of scan as AsyncIterable<string[]>) for (const key of some) keys.add(key);
      const texts = keys.size > 0 ? await this.client.mget([...keys]) : [];
      return texts.filter((text) => text !== null).map((text) => JSON.parse(text) as Announcement);
    });
  }

  /**
   * Jobs stay in Redis: they are the workers', and another server's to ask for. But for those whose clients wait for an
   * answer: nobody else knows of them.
   */
  async close(graceSeconds: number): Promise<void> {
    this.#isClosing = true;
    await this.#endAwaited(graceSeconds);
    clearInterval(this.#looking);
    const closings = [...this.#lines.values()].flatMap(({ queue, events }) => [events.close(), queue.close()]);
    await this.connections.close(Promise.allSettled(closings));
  }

  async #endAwaited(graceSeconds: number): Promise<void> {
    const awaited = [...this.#open.keys()].filter(({ isAwaited, hasEnded }) => isAwaited && !hasEnded);
    const giveUp = (jobs: Job[], message: string) =>
      Promise.all(
        jobs.map((job) => {
          const line = this.#open.get(job)!;
          job.fail(problemOf(new ServerError('SHUTTING_DOWN', message)).problem);
          return this.#reached(() => this.#withdraw(job, line)).catch(() => undefined);
        }),
      );
    const isRunning = ({ state }: Job) => state === 'running';
    const waiting = awaited.filter((job) => !isRunning(job));
    const running = awaited.filter(isRunning);
    await giveUp(waiting, 'The server stopped before the job began.');
    let timer: NodeJS.Timeout | undefined;
    // Without Redis nobody tells how they end.
    const seconds = this.client.status === 'ready' ? graceSeconds : 0;
    const grace = new Promise((resolve) => (timer = setTimeout(resolve, seconds * 1000)));
    await Promise.race([Promise.all(running.map((job) => job.settled())), grace]);
    clearTimeout(timer);
    await giveUp(
      running.filter(({ hasEnded }) => !hasEnded),
      'The server stopped before the job ended.',
    );
  }

  #reached<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    return reached(work, this.connections.say);
  }

  /** BullMQ's reader ends with what Redis refuses, for good: it begins anew, as that may be mended. */
  async #follow(events: QueueEvents): Promise<void> {
    while (!this.#isClosing) {
      await events.run().catch(this.connections.say);
      await sleep(listenAgainAfter, undefined, { ref: false });
    }
  }

  #listen(events: QueueEvents, queue: Line['queue']): void {
    events.on('active', ({ jobId }) => this.#jobs.get(jobId)?.start());
    events.on('progress', ({ jobId, data }) => {
      const { name, data: told } = data as unknown as RemoteNews;
      if (eventNames.has(name)) this.#jobs.get(jobId)?.tell(name, told as JobEvents[typeof name]);
    });
    events.on('completed', ({ jobId, returnvalue }) => {
      const job = this.#jobs.get(jobId);
      if (job) void this.#complete(job, returnvalue as unknown as RemoteResult);
    });
    events.on('failed', ({ jobId }) => {
      const job = this.#jobs.get(jobId);
      // Also told of a try that is followed by another.
      if (job) void this.#take(job, queue).catch(() => undefined);
    });
    events.on('removed', ({ jobId }) => this.#jobs.get(jobId)?.endCancelled());
  }

  /** Ends a job that has ended in the queue, or that the queue does not have any more. */
  async #take(job: Job, queue: Line['queue']): Promise<void> {
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

  /** The queue tells how jobs end, but for what it said while nobody heard it, and of what Redis has lost. */
  async #look(): Promise<void> {
    for (const [job, { queue }] of this.#open) {
      if (job.hasEnded) this.#open.delete(job);
      else await this.#take(job, queue);
    }
    const waiting = [...this.#open].filter(([job]) => job.state === 'queued' && !this.#told.has(job));
    if (waiting.length === 0) return;
    const workers = await this.workers();
    for (const [job, { checksum }] of waiting) {
      tellUnserved(job, checksum, workers, this.connections.say);
      this.#told.add(job);
    }
  }

  async #complete(job: Job, { images, ...rest }: RemoteResult): Promise<void> {
    this.#open.delete(job);
    const pictures = [];
    try {
      for (const { key, ...image } of images) {
        const png = await this.options.store.get(key);
        if (!png) throw new Error('it has lost the picture');
        pictures.push({ ...image, png });
      }
      job.finish({ images: pictures, ...rest });
    } catch (error) {
      // The queue still has the job: who asks again has it looked up again.
      this.#jobs.delete(job.id);
      const message = `The result store does not give the picture: ${reasonOf(error)}.`;
      job.fail({ code: 'RESULT_UNAVAILABLE', message, type: 'server_error' });
    }
  }

  #mind(job: Job, line: Line): void {
    if (!job.hasEnded) this.#open.set(job, line);
    job.signal.addEventListener('abort', () => void this.#withdraw(job, line).catch(() => undefined), { once: true });
  }

  async #withdraw(job: Job, { queue }: Line): Promise<void> {
    const bull = await queue.getJob(job.id);
    // One that runs is locked by its worker, which is told.
    const removed = await bull?.remove().then(
      () => true,
      () => false,
    );
    if (removed) job.endCancelled();
    else await this.client.publish(cancelChannel, job.id);
  }

  /** A job of another server, or of this one before it was started anew. */
  async #adopt(bull: BullJob<RemoteRequest, RemoteResult>, line: Line): Promise<Job> {
    // What it asks for is its worker's business.
    const nothing = imageRequestSchema.parse({});
    // Its events have other numbers than those that another server told.
    const job = new Job(bundleOf(bull), nothing, bull.id, Date.now());
    this.#jobs.set(job.id, job);
    try {
      const state = await this.#reached(() => bull.getState());
      if (state === 'completed' || state === 'failed') await this.#take(job, line.queue);
      else if (state === 'active') job.start();
      else job.tell('queued', { position: 1 });
    } catch (error) {
      this.#jobs.delete(job.id);
      throw error;
    }
    this.#mind(job, line);
    forgetOld(this.#jobs, this.options);
    return job;
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

/** BullMQ keeps jobs with a priority, and those that wait for another try, apart from the others. */
function countWaiting(queue: Line['queue']): Promise<number> {
  return queue.getJobCountByTypes('waiting', 'prioritized', 'delayed');
}
