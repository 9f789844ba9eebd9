/** Jobs that wait in Redis (BullMQ) and are run by workers on any number of machines. */
import { randomInt, randomUUID } from 'node:crypto';

import type { Job as BullJob } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';

import { version } from '../../files/version';
import type { Dispatcher } from '../dispatcher';
import { timerLength } from '../grace';
import { Job, type JobState, type JobSummary } from '../job';
import { forgetOld, type Keeping } from '../keeping';
import type { Metrics } from '../metrics';
import { problemOf, ServerError } from '../problem';
import { emptyRequest, jsonOf, type ImageRequest } from '../request';

import { announcedWorkers } from './announced';
import { Connections, loadBullMq } from './connection';
import { Follower } from './follower';
import { countWaiting, openLine, type Line } from './lines';
import { probeKey, type Announcement, type RemoteRequest, type RemoteResult } from './protocol';
import { bundleOf, summariesIn } from './queued';
import { reached, WriteProbe } from './reached';
import type { ResultStore } from './resultStore';
import { pause } from './retries';

export interface RedisDispatcherOptions extends Keeping {
  redis: string;
  store: ResultStore;
  maxQueue: number;
  /** The bundles that are offered, by name. */
  checksums: ReadonlyMap<string, string>;
  log: Logger;
  metrics: Metrics;
}

/** After every priority that a request can name: BullMQ takes jobs that have none before all others. */
const lastPriority = 1_000_001;

export class RedisDispatcher implements Dispatcher {
  /** By the checksums of their bundles. */
  readonly #lines = new Map<string, Line>();
  readonly #follower: Follower;
  /** Jobs of other servers that somebody asks for, while they are looked up. */
  readonly #finding = new Map<string, Promise<Job | null>>();
  readonly #probe: WriteProbe;
  /** Jobs that this server has begun to put into Redis, and has ended to. */
  readonly #additions = { begun: 0, ended: 0 };
  #isClosing = false;

  private constructor(
    private readonly options: RedisDispatcherOptions,
    private readonly connections: Connections,
    private readonly client: Redis,
  ) {
    this.#follower = new Follower(client, connections.patient(), options.store, connections.say);
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
      const line = openLine(bullmq, checksum, client, connections);
      dispatcher.#lines.set(checksum, line);
      void dispatcher.#follower.follow(line);
    }
    return dispatcher;
  }

  get #jobs(): Map<string, Job> {
    return this.#follower.jobs;
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
      const { ended } = this.#additions;
      const present = await this.#countWaiting();
      signal.throwIfAborted();
      // Those that are on their way Redis may not have counted.
      const waiting = present + this.#additions.begun - ended;
      if (waiting >= maxQueue) {
        throw new ServerError('QUEUE_FULL', `${maxQueue} jobs wait already; try again in 5 s.`, { 'Retry-After': '5' });
      }
      this.#jobs.set(job.id, job);
      this.#additions.begun++;
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
      await addition.finally(() => this.#additions.ended++);
      job.tell('queued', { position: waiting + 1 });
    }).catch((error: unknown) => {
      this.#jobs.delete(job.id);
      // Nobody waits for what Redis takes after all.
      void addition?.then(() => queue.remove(job.id)).catch(() => undefined);
      throw error;
    });
    this.#follower.mind(job, line);
    job.whenEnded(() => {
      const { images, seconds } = job.result ?? { images: [], seconds: 0 };
      this.options.metrics.pictures(bundle, images.length, seconds);
    });
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
      if (bull) return (await this.#isOver(bull)) ? null : this.#adopt(bull, line);
    }
    return null;
  }

  /** BullMQ forgets a job only when another one ends. By clocks, which may differ, and by its pictures, which are gone then. */
  async #isOver({ finishedOn = Infinity, returnvalue }: BullJob<RemoteRequest, RemoteResult | null>): Promise<boolean> {
    if (!returnvalue || Date.now() - finishedOn < this.options.keepSeconds * 1000) return false;
    // Where the store does not answer nobody knows.
    const are = returnvalue.images.map(({ key }) => this.options.store.get(key).then(Boolean, () => true));
    return (await Promise.all(are)).includes(false);
  }

  obstacle(): Promise<string | null> {
    return this.#probe.obstacle();
  }

  async list(state: JobState, limit: number): Promise<JobSummary[]> {
    return this.#reached(async (signal) => {
      const lists = [...this.#lines.values()].map(({ queue }) => summariesIn(queue, state, limit, signal));
      const newest = (await Promise.all(lists)).flat().sort((a, b) => (a.created < b.created ? 1 : -1));
      return newest.slice(0, limit);
    });
  }

  forget(job: Job): void {
    this.#jobs.delete(job.id);
  }

  /** NaN while Redis, which knows, does not say. */
  async waiting(): Promise<number> {
    return this.#reached(() => this.#countWaiting()).catch(() => NaN);
  }

  running(): number {
    return [...this.#jobs.values()].filter(({ state }) => state === 'running').length;
  }

  /** The workers that have announced themselves lately. */
  async workers(): Promise<Announcement[]> {
    return this.#reached(() => announcedWorkers(this.client));
  }

  /**
   * Jobs stay in Redis: they are the workers', and another server's to ask for. But for those whose clients wait for an
   * answer: nobody else knows of them.
   */
  async close(graceSeconds: number): Promise<void> {
    this.#isClosing = true;
    await this.#endAwaited(graceSeconds);
    this.#follower.close();
    const closings = [...this.#lines.values()].flatMap(({ queue, events }) => [events.close(), queue.close()]);
    await this.connections.close(Promise.allSettled(closings));
  }

  async #endAwaited(graceSeconds: number): Promise<void> {
    const { awaited } = this.#follower;
    const giveUp = (jobs: Job[], message: string) =>
      Promise.all(
        jobs.map((job) => {
          job.fail(problemOf(new ServerError('SHUTTING_DOWN', message)).problem);
          return this.#reached(() => this.#follower.withdraw(job)).catch(() => undefined);
        }),
      );
    const isRunning = ({ state }: Job) => state === 'running';
    const waiting = awaited.filter((job) => !isRunning(job));
    const running = awaited.filter(isRunning);
    await giveUp(waiting, 'The server stopped before the job began.');
    let timer: NodeJS.Timeout | undefined;
    // Without Redis nobody tells how they end.
    const seconds = this.client.status === 'ready' ? graceSeconds : 0;
    const grace = new Promise((resolve) => (timer = setTimeout(resolve, timerLength(seconds))));
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

  /** Of all bundles. */
  async #countWaiting(): Promise<number> {
    const counts = await Promise.all([...this.#lines.values()].map(countWaiting));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** A job of another server, or of this one before it was started anew. */
  async #adopt(bull: BullJob<RemoteRequest, RemoteResult>, line: Line): Promise<Job> {
    // What it asks for is its worker's business. Its events have other numbers than those that another server told.
    const job = new Job(bundleOf(bull), emptyRequest, bull.id, Date.now());
    this.#jobs.set(job.id, job);
    try {
      const state = await this.#reached(() => bull.getState());
      if (state === 'completed' || state === 'failed') await this.#follower.take(job, line.queue);
      else if (state === 'active') job.start();
      else job.tell('queued', { position: 1 });
    } catch (error) {
      this.#jobs.delete(job.id);
      throw error;
    }
    this.#follower.mind(job, line);
    forgetOld(this.#jobs, this.options);
    return job;
  }
}
