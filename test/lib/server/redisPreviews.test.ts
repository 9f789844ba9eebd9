/** Previews of many machines: for those who follow a job, through whichever server, and for nobody else. */
import { EventEmitter } from 'node:events';

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';

import { openBundle } from '../../../lib/bundle';
import { createServer, createWorker, type Worker } from '../../../lib/server';
import { Job } from '../../../lib/server/job';
import { PreviewListener, sendPreviews } from '../../../lib/server/remote/previews';
import { bundleChecksum, queueName, type RemoteRequest } from '../../../lib/server/remote/protocol';
import { imageRequestSchema } from '../../../lib/server/request';

import { long, Machines, until, withRedis } from './machines';

const preview = (step: number) => ({ step, image: 0, width: 1, height: 1, png: '' });

test('previews are made while a server listens, and not before and after', async () => {
  let listeners = 0;
  const sent: string[] = [];
  const redis = {
    pubsub: () => Promise.resolve(['', listeners]),
    publish: (_channel: string, text: string) => {
      sent.push(text);
      return Promise.resolve(listeners);
    },
  };
  const job = new Job('embedded', imageRequestSchema.parse({ preview: true }));
  const sending = sendPreviews(job, redis as unknown as Redis);
  job.tell('preview', preview(1));
  expect(job.isFollowed).toBe(false);
  listeners = 1;
  // The one that there is comes at once.
  await until(() => sent.length === 1);
  expect(job.isFollowed).toBe(true);
  job.tell('preview', preview(2));
  await until(() => sent.length === 2);
  listeners = 0;
  job.tell('preview', preview(3));
  await until(() => !job.isFollowed);
  job.endCancelled();
  await sending;
  expect(sent.map((text) => (JSON.parse(text) as { step: number }).step)).toEqual([1, 2, 3]);
});

test('what is no preview is said, and ends nothing', () => {
  const listener = new EventEmitter();
  const job = new Job('embedded', imageRequestSchema.parse({ preview: true }));
  const said: string[] = [];
  new PreviewListener(listener as unknown as Redis, new Map([[job.id, job]]), ({ message }) => said.push(message));
  listener.emit('message', `detail-guidance:preview:${job.id}`, 'no JSON');
  expect(said).toEqual([expect.stringContaining('JSON')]);
});

withRedis('previews', () => {
  let machines: Machines;
  let operator: Redis;
  let worker: Worker;
  let queue: Queue<RemoteRequest>;
  beforeAll(async () => {
    machines = await Machines.prepare();
    ({ operator } = machines.operateRedis());
    await machines.startServer();
    await until(async () => (await fetch(`${machines.place}/readyz`)).ok);
    worker = createWorker({ redis: machines.redisUrl, results: machines.results, logLevel: 'silent' });
    await worker.start();
    const name = queueName(bundleChecksum(await openBundle('embedded')));
    queue = new Queue(name, { connection: { port: machines.port }, skipMetasUpdate: true });
  }, 60_000);
  afterAll(async () => {
    await worker.close();
    await queue.close();
    await machines.close();
  });

  const events = async (place: string, id: string) => (await fetch(`${place}/v1/jobs/${id}/events`)).text();
  /** Names of the news that Redis keeps. */
  const inRedis = async () => {
    const fields = (await operator.xrange(queue.toKey('events'), '-', '+')).map(([, list]) => list);
    const news = fields.map((list) => list[list.indexOf('data') + 1]!).filter((text) => text.startsWith('{"name":'));
    return new Set(news.map((text) => (JSON.parse(text) as { name: string }).name));
  };

  test('who follows a job through another server has its previews, and Redis keeps none', async () => {
    const { redisUrl: redis, results } = machines;
    const other = createServer({ port: 0, redis, results, logLevel: 'silent' });
    const place = await other.listen();
    await until(async () => (await fetch(`${place}/readyz`)).ok);
    const id = await machines.submit({ ...long, numImages: 2, preview: true });
    const texts = await Promise.all([events(machines.place, id), events(place, id)]);
    for (const text of texts) {
      expect(text.match(/^event: preview$/gm)!.length).toBeGreaterThan(1);
      expect(text).toMatch(/^event: done$/m);
    }
    expect(await inRedis()).toEqual(new Set(['started', 'progress', 'step']));
    await other.close();
  }, 120_000);

  test('a job that has ended keeps nothing of its request, whether it was made or not', async () => {
    const ids = [
      await machines.submit({ ...long, numInferenceSteps: 2 }),
      await machines.submit({ classLabel: 'Hat' }),
    ];
    expect((await machines.ended(ids[0]!)).state).toBe('done');
    expect((await machines.ended(ids[1]!)).state).toBe('failed');
    for (const id of ids) await until(async () => (await queue.getJob(id))!.data.request === null);
  }, 60_000);

  test('a queue keeps its latest events alone', async () => {
    expect(Number(await operator.hget(queue.toKey('meta'), 'opts.maxLenEvents'))).toBeLessThanOrEqual(1000);
  });
});
