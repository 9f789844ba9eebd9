/** `detail-guidance worker`: takes jobs for its bundles from Redis, one after the other. */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Job as BullJob } from 'bullmq';
import pino, { type Logger } from 'pino';

import { version } from '../../files/version';
import { freeMemory } from '../../model/memory';
import { native } from '../../native';
import { DetailGuidanceError } from '../../validation/errors';
import { invalid, reasonOf } from '../../validation/invalid';
import { parse } from '../../validation/parse';
import { BundlePool } from '../bundlePool';
import { Job } from '../job';
import { Metrics } from '../metrics';
import { workerSchema, type WorkerOptions } from '../options';
import { problemOf, ServerError } from '../problem';
import { imageRequestSchema, type ImageRequest } from '../request';
import { runJobs, type Workshop } from '../runJobs';

import { Connections, loadBullMq } from './connection';
import {
  announcementKey,
  bundleChecksum,
  cancelChannel,
  queueName,
  type Announcement,
  type RemoteNews,
  type RemoteRequest,
  type RemoteResult,
} from './protocol';
import { openResultStore, type ResultStore } from './resultStore';
import { beginPause, wakeEvery, wakePaused } from './retries';

/** Milliseconds: a worker that has not renewed its lock for so long is taken to be dead, and its job given to another. */
const lockDuration = 10_000;
/** Milliseconds that the last news of a job may take. */
const newsPatience = 2000;
/** Milliseconds between two announcements. */
const announceEvery = 5000;

/** A process that makes pictures for servers. */
export interface Worker {
  /** Loads the first bundle and begins to take jobs. */
  start(): Promise<void>;
  /** Takes no further job, ends the one that runs, frees the models. */
  close(): Promise<void>;
}

/**
 * A worker for the jobs of servers that were started with the same `redis` and `results`.
 *
 * @throws BAD_OPTION
 */
export function createWorker(options: WorkerOptions): Worker {
  const settings = parse(workerSchema, options, 'options');
  const log = pino({ level: settings.logLevel });
  const bundles = new BundlePool(settings);
  const running = new Map<string, Job>();
  const nothing = () => Promise.resolve(0);
  const metrics = new Metrics({
    waiting: nothing,
    running: () => running.size,
    loadedBytes: () => bundles.bytes,
    device: () => null,
  });
  const workshop: Workshop = { bundles, metrics, log, logPrompts: false };
  /** What takes no further job from then on, and ends when those that run have ended. */
  const leaving: (() => Promise<unknown>)[] = [];
  const timers: NodeJS.Timeout[] = [];
  const oneAtATime = turns();
  let connections: Connections | null = null;
  const closing = new AbortController();

  return {
    async start() {
      const { bullmq, Redis } = await loadBullMq(settings.redis);
      const store = await openResultStore(settings.results);
      await store.check();
      const device = await bundles.with(bundles.preferred, (pipeline) => Promise.resolve(pipeline.device));
      const offered = await Promise.all(
        bundles.names.map(async (name) => ({ name, checksum: bundleChecksum(await bundles.manifest(name)) })),
      );
      closing.signal.throwIfAborted();
      connections = new Connections(Redis, settings.redis, log);
      const { say } = connections;
      const speaker = connections.impatient();
      const listener = connections.patient();
      listener.on('message', (_channel, id) => running.get(id)?.cancel());
      // Whenever Redis takes it back; the first time is waited for: BullMQ's worker could not be closed before.
      const closed = new Promise<never>((_, reject) => {
        closing.signal.addEventListener('abort', () => reject(closing.signal.reason as Error), { once: true });
      });
      const subscribed = new Promise<void>((resolve) => {
        listener.on('ready', () => void listener.subscribe(cancelChannel).then(() => resolve(), say));
      });
      await Promise.race([subscribed, closed]);
      for (const { name, checksum } of offered) {
        const process = (bull: BullJob<RemoteRequest, RemoteResult>) =>
          oneAtATime(() => runRemote(bull, name, store, workshop, running)).catch((error: unknown) => {
            // What is wrong with the request stays wrong; anything else is tried again, here or elsewhere.
            const { problem } = problemOf(error);
            const failure = error instanceof JobProblem ? error.message : JSON.stringify(problem);
            const isFinal = error instanceof JobProblem ? error.isFinal : problem.type === 'invalid_request_error';
            throw isFinal ? new bullmq.UnrecoverableError(failure) : new Error(failure);
          });
        const worker = new bullmq.Worker<RemoteRequest, RemoteResult>(queueName(checksum), process, {
          connection: connections.patient(),
          concurrency: 1,
          lockDuration,
          stalledInterval: lockDuration / 2,
          maxStalledCount: 5,
          settings: { backoffStrategy: (tries, _kind, _error, bull) => beginPause(speaker, bull!.id!, tries) },
        });
        worker.on('error', say);
        const queue = new bullmq.Queue(queueName(checksum), { connection: speaker });
        queue.on('error', say);
        timers.push(setInterval(() => void wakePaused(speaker, queue).catch(() => undefined), wakeEvery));
        // Without Redis it would wait for its word, for ever.
        leaving.push(() => Promise.allSettled([worker.close(speaker.status !== 'ready'), queue.close()]));
        await Promise.race([worker.waitUntilReady(), closed]).catch((cause: unknown) => {
          closing.signal.throwIfAborted();
          // Its version, or a right that is missing.
          throw invalid('redis', 'a Redis that BullMQ works with', undefined, { cause, note: reasonOf(cause) });
        });
      }
      const id = randomUUID();
      const announce = async () => {
        const announcement: Announcement = {
          id,
          host: hostname(),
          version: version(),
          bundles: offered,
          device,
          freeMemory: freeMemory(device, native()),
          running: running.size,
        };
        await speaker.set(announcementKey(id), JSON.stringify(announcement), 'PX', 3 * announceEvery);
        await store.removeOlderThan(settings.keepSeconds);
      };
      const announceNow = () => void announce().catch(() => undefined);
      timers.push(setInterval(announceNow, announceEvery));
      if (speaker.status === 'ready') announceNow();
      else speaker.once('ready', announceNow);
      leaving.push(() => speaker.del(announcementKey(id)));
      log.info({ worker: id, bundles: offered, device }, 'worker');
    },
    async close() {
      closing.abort(new DetailGuidanceError('DISPOSED', 'The worker was closed.'));
      timers.forEach(clearInterval);
      const left = Promise.allSettled(leaving.map((leave) => leave()));
      // Those that were taken, up to their pictures in the store.
      await oneAtATime(() => Promise.resolve());
      await connections?.close(left);
      await bundles.close();
    },
  };
}

/** Runs what it is given one after the other: a machine has one set of cores, or one GPU, for all of its bundles. */
function turns(): <Result>(work: () => Promise<Result>) => Promise<Result> {
  let tail: Promise<unknown> = Promise.resolve();
  return (work) => {
    const turn = tail.then(work);
    tail = turn.catch(() => undefined);
    return turn;
  };
}

/** How a job ended that has no pictures. */
class JobProblem extends Error {
  constructor(job: Job) {
    super(job.state === 'cancelled' ? JSON.stringify({ code: 'CANCELLED' }) : JSON.stringify(job.problem));
    this.isFinal = job.state === 'cancelled' || job.problem?.type === 'invalid_request_error';
  }

  readonly isFinal: boolean;
}

async function runRemote(
  bull: BullJob<RemoteRequest, RemoteResult>,
  bundle: string,
  store: ResultStore,
  workshop: Workshop,
  running: Map<string, Job>,
): Promise<RemoteResult> {
  const job = new Job(bundle, requestOf(bull.data), bull.id);
  running.set(job.id, job);
  try {
    job.start();
    const telling = tellNews(job, bull, workshop.log);
    await runJobs([job], workshop);
    // Redis may be away, and its pictures are to be kept.
    await Promise.race([telling, sleep(newsPatience, undefined, { ref: false })]);
    if (!job.result) throw new JobProblem(job);
    const { images, ...rest } = job.result;
    const stored = [];
    for (const [index, { png, ...image }] of images.entries()) {
      const key = `${job.id}-${index}.png`;
      await store.put(key, png);
      stored.push({ ...image, key });
    }
    return { images: stored, ...rest };
  } finally {
    running.delete(job.id);
  }
}

/** What one server took another version may not know: no fault of the client's, and another worker may know it. */
function requestOf(data: RemoteRequest | null): ImageRequest {
  const { request, version: its = 'unknown' } = data ?? {};
  try {
    return parse(imageRequestSchema, request, 'request');
  } catch (error) {
    const versions = `The server's version is ${its}, this worker's ${version()}`;
    throw new ServerError('WORKER_MISMATCH', `${versions}, and it does not know the request: ${reasonOf(error)}`);
  }
}

/** Passes on what the job tells; its end is told by the queue. */
async function tellNews(job: Job, bull: BullJob<RemoteRequest, RemoteResult>, log: Logger): Promise<void> {
  for await (const { name, data } of job.events()) {
    if (name === 'done' || name === 'failed' || name === 'cancelled') return;
    const news = { name, data } as RemoteNews;
    await bull.updateProgress(news).catch((error: Error) => log.debug({ err: error.message }, 'news'));
  }
}
