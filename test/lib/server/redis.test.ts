/** Many machines: a real Redis, and workers as processes of their own, one of which is killed. */
import type { ChildProcess } from 'node:child_process';
import { readdirSync } from 'node:fs';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { loadPipeline } from '../../../lib';
import { decodePng } from '../../../lib/image/png';
import { createServer } from '../../../lib/server';

import { long, Machines, short, until, withRedis, type Wire } from './machines';

let machines: Machines;
let redis: ChildProcess;
let victim: ChildProcess;

withRedis('workers', () => {
  beforeAll(async () => {
    machines = await Machines.prepare();
    redis = machines.startRedis();
    await machines.startServer();
    await until(async () => (await fetch(`${machines.place}/v1/bundles`)).ok);
  });

  afterAll(() => machines.close());

  test('pictures of a worker have the bytes that generate gives, and the worker is announced', async () => {
    victim = await machines.startWorker();
    const id = await machines.submit({ ...short, seed: 7 });
    expect(await machines.ended(id)).toMatchObject({ state: 'done', images: [{ seed: 7 }] });
    const pipeline = await loadPipeline('embedded');
    const { images } = await pipeline.generate({ ...short, seed: 7 });
    await pipeline.dispose();
    expect((await machines.picture(id)).equals(Buffer.from(images[0]!.toPng()))).toBe(true);
    await until(async () => (await machines.get('/v1/bundles')).workers.length === 1);
  }, 120_000);

  test('what is wrong with a request is said once, without another try', async () => {
    const id = await machines.submit({ ...short, classLabel: 'Hat' });
    const { state, error } = await machines.ended(id);
    expect([state, error.code]).toEqual(['failed', 'CLASS_OUT_OF_RANGE']);
  }, 60_000);

  test.each(['meta', 'events', 'id', 'prioritized', 'completed', 'stalled-check', 'x:lock', '1'])(
    'a key of the queue, %s, is no job',
    async (key) => {
      for (const method of ['GET', 'DELETE']) {
        const response = await fetch(`${machines.place}/v1/jobs/${key}`, { method });
        expect([response.status, ((await response.json()) as Wire).error.code]).toEqual([404, 'UNKNOWN_JOB']);
      }
      expect((await fetch(`${machines.place}/v1/jobs/${key}/events`)).status).toBe(404);
    },
  );

  test('a job is cancelled while it runs and while it waits', async () => {
    const running = await machines.submit(long);
    await machines.running(running);
    const waiting = await machines.submit(short);
    for (const id of [waiting, running]) {
      await fetch(`${machines.place}/v1/jobs/${id}`, { method: 'DELETE' });
      expect((await machines.ended(id)).state).toBe('cancelled');
    }
  }, 60_000);

  test('jobs with a priority go first, the lowest number before the others', async () => {
    const first = await machines.submit({ ...long, numImages: 1 });
    await machines.running(first);
    const ids: Record<string, string> = {};
    for (const priority of [undefined, 2, 1]) {
      ids[String(priority)] = await machines.submit({ ...short, seed: 1, ...(priority ? { priority } : {}) });
    }
    const ends: [string, number][] = [];
    for (const [name, id] of Object.entries(ids)) ends.push([name, Date.parse((await machines.ended(id)).ended)]);
    expect(ends.sort((a, b) => a[1] - b[1]).map(([name]) => name)).toEqual(['1', '2', 'undefined']);
  }, 60_000);

  test('a worker that is killed loses nothing: another makes the same picture, once', async () => {
    const id = await machines.submit(long);
    const others = await Promise.all([1, 2, 3].map((seed) => machines.submit({ ...short, seed })));
    await machines.running(id);
    victim.kill('SIGKILL');
    await Promise.all([machines.startWorker(), machines.startWorker()]);
    for (const job of [id, ...others]) expect(await machines.ended(job)).toMatchObject({ state: 'done' });
    const pipeline = await loadPipeline('embedded');
    const { images } = await pipeline.generate({ ...long, numImages: 1 });
    await pipeline.dispose();
    const stored = readdirSync(machines.results).filter((name) => name.startsWith(id));
    expect(stored.sort()).toEqual([0, 1, 2, 3].map((index) => `${id}-${index}.png`));
    // The plan in the metadata counts pictures; the picture itself is the same.
    expect(Buffer.from(decodePng(await machines.picture(id)).pixels).equals(Buffer.from(images[0]!.pixels))).toBe(true);
  }, 180_000);

  test('Redis that is away is 503, and when it is back the queue goes on', async () => {
    await machines.stopRedis(redis);
    const refused = await machines.post('/v1/jobs', short);
    expect([refused.status, ((await refused.json()) as Wire).error.code]).toEqual([503, 'QUEUE_UNAVAILABLE']);
    machines.startRedis();
    await until(async () => (await fetch(`${machines.place}/v1/bundles`)).ok);
    const id = await machines.submit({ ...short, seed: 3 });
    expect(await machines.ended(id)).toMatchObject({ state: 'done' });
  }, 120_000);
});

test('a server with Redis needs a place for results', () => {
  expect(() => createServer({ redis: 'redis://127.0.0.1:1' })).toThrow(
    expect.objectContaining({ code: 'BAD_OPTION', message: expect.stringMatching(/options\.results: expected/) }),
  );
});
