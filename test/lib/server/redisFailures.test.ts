/** Many machines when something is wrong: Redis, the place for results, a clock. */
import type { ChildProcess } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { openResultStore } from '../../../lib/server/remote/resultStore';

import { long, Machines, short, until, withRedis, type Wire } from './machines';

let machines: Machines;
let redis: ChildProcess;

withRedis('what can go wrong', () => {
  beforeAll(async () => {
    machines = await Machines.prepare();
  });
  afterAll(() => machines.close());

  test('a server and a worker that start before Redis wait for it, and say so', async () => {
    await machines.startServer();
    const worker = machines.launchWorker();
    worker.stdout!.resume();
    const refused = await machines.post('/v1/jobs', short);
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('5');
    expect((await fetch(`${machines.place}/readyz`)).status).toBe(503);
    expect((await fetch(`${machines.place}/healthz`)).status).toBe(200);
    expect((await fetch(`${machines.place}/metrics`)).status).toBe(200);
    redis = machines.startRedis();
    await until(async () => (await fetch(`${machines.place}/readyz`)).status === 200);
    expect(await machines.ended(await machines.submit(short))).toMatchObject({ state: 'done' });
  }, 120_000);

  test('Redis that is restarted in mid-job costs nothing: the job ends, once', async () => {
    const id = await machines.submit(long);
    await machines.running(id);
    await machines.stopRedis(redis);
    redis = machines.startRedis();
    expect(await machines.ended(id)).toMatchObject({ state: 'done', images: [{ seed: 11 }, {}, {}, {}] });
    expect((await machines.get('/v1/jobs?state=running')).jobs).toEqual([]);
  }, 120_000);

  test('jobs that Redis has lost are said to be lost, to who waits and to who asks', async () => {
    const id = await machines.submit(long);
    await machines.running(id);
    const waiting = machines.post('/v1/images', short);
    await until(async () => (await machines.get('/v1/jobs?state=queued')).jobs.length === 1);
    await machines.forgetAll();
    const response = await waiting;
    expect([response.status, ((await response.json()) as Wire).error]).toEqual([
      503,
      expect.objectContaining({ code: 'QUEUE_UNAVAILABLE', message: expect.stringMatching(/has lost the job/) }),
    ]);
    expect(await machines.ended(id)).toMatchObject({ state: 'failed', error: { code: 'QUEUE_UNAVAILABLE' } });
    expect(await machines.ended(await machines.submit(short))).toMatchObject({ state: 'done' });
  }, 120_000);

  test('results that cannot be written are tried again, and end among the dead letters', async () => {
    const aside = `${machines.results}-aside`;
    renameSync(machines.results, aside);
    // A file where the folder was: what a full disk and a folder without rights do, for root too.
    writeFileSync(machines.results, '');
    const id = await machines.submit(short);
    const { state, error } = await machines.ended(id);
    expect([state, error.code]).toEqual(['failed', 'OUTPUT_UNWRITABLE']);
    const { jobs } = await machines.get('/v1/jobs?state=failed');
    expect(jobs[0]).toMatchObject({ id, state: 'failed', error: { code: 'OUTPUT_UNWRITABLE' } });
    renameSync(machines.results, join(machines.results, '..', 'file'));
    renameSync(aside, machines.results);
    expect(await machines.ended(await machines.submit(short))).toMatchObject({ state: 'done' });
  }, 120_000);

  test('a worker whose clock is an hour ahead throws nothing away', async () => {
    const before = await machines.submit(short);
    await machines.ended(before);
    const ahead = 'data:text/javascript,const now = Date.now; Date.now = () => now() + 3_600_000;';
    const child = await machines.startWorker(['--import', ahead]);
    await until(async () => (await machines.get('/v1/bundles')).workers.length === 2);
    // It has announced itself, and cleared away what it takes to be old.
    await new Promise((resolve) => setTimeout(resolve, 6000));
    const store = await openResultStore(machines.results);
    expect(await store.get(`${before}-0.png`)).not.toBeNull();
    const jobs = await Promise.all([1, 2, 3, 4].map((seed) => machines.submit({ ...short, seed })));
    for (const id of jobs) expect(await machines.ended(id)).toMatchObject({ state: 'done' });
    child.kill('SIGKILL');
  }, 120_000);

  test('a worker that is asked to stop ends its job first', async () => {
    const id = await machines.submit({ ...long, numImages: 1 });
    await machines.running(id);
    const idle = await machines.startWorker();
    idle.kill('SIGTERM');
    await until(() => idle.exitCode !== null);
    expect(await machines.ended(id)).toMatchObject({ state: 'done' });
  }, 120_000);
});
