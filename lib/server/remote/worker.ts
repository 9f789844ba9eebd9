/** `detail-guidance worker`: takes jobs for its bundles from Redis, one after the other. */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';

import type { Job as BullJob } from 'bullmq';
import pino, { type Logger } from 'pino';

import { freeMemory } from '../../model/memory';
import { native } from '../../native';
import { parse } from '../../validation/parse';
import { BundlePool } from '../bundlePool';
import { Job } from '../job';
import { Metrics } from '../metrics';
import { workerSchema, type WorkerOptions } from '../options';
import { problemOf } from '../problem';
import { imageRequestSchema } from '../request';
import { runJobs, type Workshop } from '../runJobs';

import { impatient, loadBullMq, patient, withoutWaitingForRedis } from './connection';
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

/** Milliseconds: a worker that has not renewed its lock for so long is taken to be dead, and its job given to another. */
const lockDuration = 10_000;
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
  const closers: (() => Promise<unknown>)[] = [];

  return {
    async start() {
      const { bullmq, Redis } = await loadBullMq(settings.redis);
      const store = await openResultStore(settings.results);
      await store.check();
      const device = await bundles.with(bundles.preferred, (pipeline) => Promise.resolve(pipeline.device));
      const offered = await Promise.all(
        bundles.names.map(async (name) => ({ name, checksum: bundleChecksum(await bundles.manifest(name)) })),
      );
      const oneAtATime = turns();
      for (const { name, checksum } of offered) {
        const process = (bull: BullJob<RemoteRequest, RemoteResult>) =>
          oneAtATime(() => runRemote(bull, name, store, workshop, running)).catch((error: unknown) => {
            // What is wrong with the request stays wrong; anything else is tried again, here or elsewhere.
            const { problem } = problemOf(error);
            const failure = error instanceof JobProblem ? error.message : JSON.stringify(problem);
            const isFinal = error instanceof JobProblem ? error.isFinal : problem.type === 'invalid_request_error';
            throw isFinal ? new bullmq.UnrecoverableError(failure) : new Error(failure);
          });
        const connection = patient(Redis, settings.redis);
        const worker = new bullmq.Worker<RemoteRequest, RemoteResult>(queueName(checksum), process, {
          connection,
          concurrency: 1,
          lockDuration,
          stalledInterval: lockDuration / 2,
          maxStalledCount: 5,
        });
        worker.on('error', (error) => log.warn({ err: error.message }, 'redis'));
        closers.push(async () => {
          // It takes no further job from now on.
          const leaving = worker.close();
          await Promise.all([...running.values()].map((job) => job.settled()));
          await withoutWaitingForRedis(leaving);
          connection.disconnect();
        });
      }
      const listener = patient(Redis, settings.redis);
      listener.on('message', (_channel, id) => running.get(id)?.cancel());
      closers.push(() => Promise.resolve(listener.disconnect()));
      await listener.subscribe(cancelChannel);
      const speaker = impatient(Redis, settings.redis);
      const id = randomUUID();
      const announce = async () => {
        const announcement: Announcement = {
          id,
          host: hostname(),
          bundles: offered,
          device,
          freeMemory: freeMemory(device, native()),
          running: running.size,
        };
        await speaker.set(announcementKey(id), JSON.stringify(announcement), 'PX', 3 * announceEvery);
        await store.removeOlderThan(settings.keepSeconds);
      };
      const timer = setInterval(() => void announce().catch(() => undefined), announceEvery);
      speaker.once('ready', () => void announce().catch(() => undefined));
      closers.push(async () => {
        clearInterval(timer);
        await withoutWaitingForRedis(speaker.del(announcementKey(id)));
        speaker.disconnect();
      });
      log.info({ worker: id, bundles: offered, device }, 'worker');
    },
    async close() {
      for (const close of closers) await close();
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
  const job = new Job(bundle, parse(imageRequestSchema, bull.data.request, 'request'), bull.id);
  running.set(job.id, job);
  try {
    job.start();
    const telling = tellNews(job, bull, workshop.log);
    await runJobs([job], workshop);
    await telling;
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

/** Passes on what the job tells; its end is told by the queue. */
async function tellNews(job: Job, bull: BullJob<RemoteRequest, RemoteResult>, log: Logger): Promise<void> {
  for await (const { name, data } of job.events()) {
    if (name === 'done' || name === 'failed' || name === 'cancelled') return;
    const news = { name, data } as RemoteNews;
    await bull.updateProgress(news).catch((error: Error) => log.debug({ err: error.message }, 'news'));
  }
}
