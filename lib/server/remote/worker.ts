/** `detail-guidance worker`: takes jobs for its bundles from Redis, one after the other. */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';

import pino from 'pino';

import { version } from '../../files/version';
import { freeMemory } from '../../model/memory';
import { native } from '../../native';
import { DetailGuidanceError } from '../../validation/errors';
import { invalid, reasonOf } from '../../validation/invalid';
import { parse } from '../../validation/parse';
import { BundlePool } from '../bundlePool';
import type { Job } from '../job';
import { Metrics } from '../metrics';
import { workerSchema, type WorkerOptions } from '../options';
import type { Workshop } from '../runJobs';

import { Connections, loadBullMq } from './connection';
import { JobLoop, lockDuration, type Source } from './jobLoop';
import { streams } from './lines';
import {
  announcementKey,
  bundleChecksum,
  cancelChannel,
  queueName,
  type Announcement,
  type RemoteRequest,
  type RemoteResult,
} from './protocol';
import { openResultStore } from './resultStore';
import { beginPause, wakeEvery, wakePaused } from './retries';
import { failureOf, runRemote } from './runRemote';

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
  const timers: NodeJS.Timeout[] = [];
  const leaving: (() => Promise<unknown>)[] = [];
  let loop: JobLoop | null = null;
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
      const sources: Source[] = [];
      for (const { name, checksum } of offered) {
        const worker = new bullmq.Worker<RemoteRequest, RemoteResult>(queueName(checksum), null, {
          connection: connections.patient(),
          lockDuration,
          stalledInterval: lockDuration / 2,
          maxStalledCount: 5,
          settings: { backoffStrategy: (tries, _kind, _error, bull) => beginPause(speaker, bull!.id!, tries) },
        });
        worker.on('error', say);
        const queue = new bullmq.Queue(queueName(checksum), { connection: speaker, streams });
        queue.on('error', say);
        timers.push(setInterval(() => void wakePaused(speaker, queue).catch(() => undefined), wakeEvery));
        // Without Redis it would wait for its word, for ever.
        leaving.push(() => Promise.allSettled([worker.close(speaker.status !== 'ready'), queue.close()]));
        await Promise.race([worker.waitUntilReady(), closed]).catch((cause: unknown) => {
          closing.signal.throwIfAborted();
          // Its version, or a right that is missing.
          throw invalid('redis', 'a Redis that BullMQ works with', undefined, { cause, note: reasonOf(cause) });
        });
        const run: Source['run'] = async (bull) => {
          // One that stalled too often: BullMQ leaves it to who takes it to say so.
          if (bull.deferredFailure) throw new bullmq.UnrecoverableError(bull.deferredFailure);
          return runRemote(bull, name, { store, workshop, running, redis: speaker }).catch((error: unknown) => {
            const { message, isFinal } = failureOf(error);
            throw isFinal ? new bullmq.UnrecoverableError(message) : new Error(message);
          });
        };
        sources.push({ worker, run });
      }
      loop = new JobLoop(sources, connections.waiting(), say);
      loop.start();
      const id = randomUUID();
      const announce = async () => {
        const announcement: Announcement = {
          id,
          host: hostname(),
          version: version(),
          bundles: offered,
          device,
          freeMemory: await freeMemory(device, native()),
          running: running.size,
        };
        await speaker.set(announcementKey(id), JSON.stringify(announcement), 'PX', 3 * announceEvery);
      };
      const announceNow = () => {
        void announce().catch(() => undefined);
        void store.removeOlderThan(settings.keepSeconds).catch(() => undefined);
      };
      timers.push(setInterval(announceNow, announceEvery));
      if (speaker.status === 'ready') announceNow();
      else speaker.once('ready', announceNow);
      leaving.push(() => speaker.del(announcementKey(id)));
      log.info({ worker: id, bundles: offered, device }, 'worker');
    },
    async close() {
      closing.abort(new DetailGuidanceError('DISPOSED', 'The worker was closed.'));
      timers.forEach(clearInterval);
      loop?.stop();
      // The job that runs, up to its pictures in the store.
      await loop?.idle;
      const left = Promise.resolve(loop?.end).then(() => Promise.allSettled(leaving.map((leave) => leave())));
      await connections?.close(left);
      await bundles.close();
    },
  };
}
