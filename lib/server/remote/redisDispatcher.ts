/** Jobs that wait in Redis (BullMQ) and are run by workers on any number of machines. */
import { randomInt, randomUUID } from 'node:crypto';

import type { Job as BullJob, JobType, Queue, QueueEvents } from 'bullmq';
import type { Redis } from 'ioredis';

import { reasonOf } from '../../validation/invalid';
import type { Dispatcher } from '../dispatcher';
import { Job, type JobState, type JobSummary } from '../job';
import type { JobEvents } from '../jobEvents';
import { forgetOld, type Keeping } from '../keeping';
import { ServerError, type Problem } from '../problem';
import { imageRequestSchema, jsonOf, type ImageRequest } from '../request';

import { impatient, loadBullMq, patient, withoutWaitingForRedis } from './connection';
import {
  announcementKey,
  cancelChannel,
  queueName,
  type Announcement,
  type RemoteNews,
  type RemoteRequest,
  type RemoteResult,
} from './protocol';
import type { ResultStore } from './resultStore';

export interface RedisDispatcherOptions extends Keeping {
  redis: string;
  store: ResultStore;
  maxQueue: number;
  /** The bundles that are offered, by name. */
  checksums: ReadonlyMap<string, string>;
}

interface Line {
  queue: Queue<RemoteRequest, RemoteResult>;
  events: QueueEvents;
}

/** After every priority that a request can name: BullMQ takes jobs that have none before all others. */
const lastPriority = 1_000_001;

/** Milliseconds that a caller waits for Redis. */
const patience = 5000;

export class RedisDispatcher implements Dispatcher {
  readonly #lines = new Map<string, Line>();
  /** Jobs of this server's clients, which are told what the queue says of them. */
  readonly #jobs = new Map<string, Job>();
  #isClosing = false;

  private constructor(
    private readonly options: RedisDispatcherOptions,
    private readonly client: Redis,
    private readonly listeners: Redis[],
  ) {}

  /** @throws BAD_OPTION where BullMQ is not installed */
  static async open(options: RedisDispatcherOptions): Promise<RedisDispatcher> {
    const { bullmq, Redis: Client } = await loadBullMq(options.redis);
    const client = impatient(Client, options.redis);
    const dispatcher = new RedisDispatcher(options, client, []);
    for (const checksum of new Set(options.checksums.values())) {
      const listener = patient(Client, options.redis);
      dispatcher.listeners.push(listener);
      const name = queueName(checksum);
      const queue = new bullmq.Queue<RemoteRequest, RemoteResult>(name, { connection: client });
      const events = new bullmq.QueueEvents(name, { connection: listener });
      queue.on('error', () => undefined);
      events.on('error', () => undefined);
      dispatcher.#lines.set(checksum, { queue, events });
      dispatcher.#listen(events, queue);
    }
    return dispatcher;
  }

  async submit(bundle: string, request: ImageRequest): Promise<Job> {
    if (this.#isClosing) throw new ServerError('SHUTTING_DOWN', 'The server is about to stop.');
    const checksum = this.options.checksums.get(bundle)!;
    const { queue } = this.#lines.get(checksum)!;
    const { maxQueue, keepSeconds } = this.options;
    // Drawn here, so that a worker that takes the job over makes the same picture.
    const seeded = { ...request, seed: request.seed ?? randomInt(2 ** 31) } as ImageRequest;
    const job = new Job(bundle, seeded, randomUUID());
    await reached(async () => {
      const waiting = await countWaiting(queue);
      if (waiting >= maxQueue) {
        throw new ServerError('QUEUE_FULL', `${maxQueue} jobs wait already; try again in 5 s.`, { 'Retry-After': '5' });
      }
      this.#jobs.set(job.id, job);
      await queue.add(
        'images',
        { bundle, checksum, request: jsonOf(seeded) },
        {
          jobId: job.id,
          priority: request.priority ?? lastPriority,
          attempts: 4,
          backoff: { type: 'exponential', delay: 1000 },
          removeOnComplete: { age: keepSeconds },
          // The dead letters: what failed for good, to be looked at.
          removeOnFail: { age: 7 * 86_400, count: 10_000 },
        },
      );
      job.tell('queued', { position: waiting + 1 });
    }).catch((error: unknown) => {
      this.#jobs.delete(job.id);
      throw error;
    });
    this.#mind(job);
    forgetOld(this.#jobs, this.options);
    return job;
  }

  async find(id: string): Promise<Job | null> {
    const known = this.#jobs.get(id);
    if (known) return known;
    return reached(async () => {
      for (const { queue } of this.#lines.values()) {
        const bull = await queue.getJob(id);
        if (bull) return this.#adopt(bull);
      }
      return null;
    });
  }

  isReachable(): boolean {
    return this.client.status === 'ready';
  }

  async list(state: JobState, limit: number): Promise<JobSummary[]> {
    const types = queueStates[state];
    return reached(async () => {
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

  /** NaN while Redis, which knows, is away. */
  async waiting(): Promise<number> {
    if (!this.isReachable()) return NaN;
    const counts = [...this.#lines.values()].map(({ queue }) => countWaiting(queue));
    return (await Promise.all(counts).catch(() => [])).reduce((sum, count) => sum + count, 0);
  }

  running(): number {
    return [...this.#jobs.values()].filter(({ state }) => state === 'running').length;
  }

  /** The workers that have announced themselves lately. */
  async workers(): Promise<Announcement[]> {
    return reached(async () => {
      const keys = await this.client.keys(announcementKey('*'));
      const texts = keys.length > 0 ? await this.client.mget(keys) : [];
      return texts.filter((text) => text !== null).map((text) => JSON.parse(text) as Announcement);
    });
  }

  /** Jobs stay in Redis: they are the workers', and another server's to ask for. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const closings = [...this.#lines.values()].flatMap(({ queue, events }) => [events.close(), queue.close()]);
    await withoutWaitingForRedis(Promise.allSettled(closings));
    for (const connection of [this.client, ...this.listeners]) connection.disconnect();
  }

  #listen(events: QueueEvents, queue: Line['queue']): void {
    events.on('active', ({ jobId }) => this.#jobs.get(jobId)?.start());
    events.on('progress', ({ jobId, data }) => {
      const { name, data: told } = data as unknown as RemoteNews;
      if (name !== 'started' && name !== 'queued') this.#jobs.get(jobId)?.tell(name, told as JobEvents[typeof name]);
    });
    events.on('completed', ({ jobId, returnvalue }) => {
      const job = this.#jobs.get(jobId);
      if (job) void this.#complete(job, returnvalue as unknown as RemoteResult);
    });
    events.on('failed', ({ jobId, failedReason }) => {
      const job = this.#jobs.get(jobId);
      if (!job) return;
      // Also told of a try that is followed by another.
      void queue.getJobState(jobId).then((state) => {
        if (state === 'failed') endFailed(job, failedReason);
      });
    });
    events.on('removed', ({ jobId }) => this.#jobs.get(jobId)?.endCancelled());
  }

  async #complete(job: Job, { images, ...rest }: RemoteResult): Promise<void> {
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

  #mind(job: Job): void {
    const cancel = async () => {
      const line = this.#lines.get(this.options.checksums.get(job.bundle)!)!;
      const bull = await line.queue.getJob(job.id);
      // One that runs is locked by its worker, which is told.
      const removed = await bull?.remove().then(
        () => true,
        () => false,
      );
      if (removed) job.endCancelled();
      else await this.client.publish(cancelChannel, job.id);
    };
    job.signal.addEventListener('abort', () => void cancel().catch(() => undefined), { once: true });
  }

  /** A job of another server, or of this one before it was started anew. */
  async #adopt(bull: BullJob<RemoteRequest, RemoteResult>): Promise<Job> {
    // What it asks for is its worker's business.
    const job = new Job(bull.data.bundle, imageRequestSchema.parse({}), bull.id);
    this.#jobs.set(job.id, job);
    const state = await bull.getState();
    if (state === 'completed') await this.#complete(job, bull.returnvalue);
    else if (state === 'failed') endFailed(job, bull.failedReason);
    else if (state === 'active') job.start();
    else job.tell('queued', { position: 1 });
    this.#mind(job);
    forgetOld(this.#jobs, this.options);
    return job;
  }
}

function endFailed(job: Job, reason: string): void {
  const problem = problemIn(reason);
  if (problem.code === 'CANCELLED') job.endCancelled();
  else job.fail(problem);
}

function problemIn(reason: string): Problem {
  let problem: Partial<Problem> = {};
  try {
    problem = JSON.parse(reason) as Partial<Problem>;
  } catch {
    // A worker that died too often: BullMQ's own words.
  }
  return { code: 'INTERNAL', message: reason, type: 'server_error', ...problem };
}

/** Where the queue has jobs of a state. One that was cancelled while it ran has failed for BullMQ. */
const queueStates: Record<JobState, JobType[]> = {
  queued: ['waiting', 'prioritized', 'delayed'],
  running: ['active'],
  done: ['completed'],
  failed: ['failed'],
  cancelled: ['failed'],
};

function summaryOf(
  { id, data, timestamp, finishedOn, failedReason }: BullJob<RemoteRequest>,
  state: JobState,
): JobSummary {
  const problem = state === 'failed' || state === 'cancelled' ? problemIn(failedReason) : null;
  const isCancelled = problem?.code === 'CANCELLED';
  return {
    id: id!,
    bundle: data.bundle,
    state: problem ? (isCancelled ? 'cancelled' : 'failed') : state,
    created: new Date(timestamp).toISOString(),
    ended: finishedOn === undefined ? null : new Date(finishedOn).toISOString(),
    ...(problem && !isCancelled ? { error: problem } : {}),
  };
}

/** BullMQ keeps jobs with a priority, and those that wait for another try, apart from the others. */
function countWaiting(queue: Line['queue']): Promise<number> {
  return queue.getJobCountByTypes('waiting', 'prioritized', 'delayed');
}

/** @throws QUEUE_UNAVAILABLE when Redis does not answer */
async function reached<Result>(work: () => Promise<Result>): Promise<Result> {
  const away = () =>
    new ServerError('QUEUE_UNAVAILABLE', 'Redis, which holds the queue, does not answer.', { 'Retry-After': '5' });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(away()), patience);
  });
  try {
    return await Promise.race([work(), late]);
  } catch (error) {
    throw error instanceof ServerError ? error : away();
  } finally {
    clearTimeout(timer);
  }
}
