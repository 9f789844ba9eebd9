/** Many machines whose Redis takes no writes, or does not answer for a while: what is said, and that no job is left over. */
import type { ChildProcess } from 'node:child_process';

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { Redis } from 'ioredis';

import { Machines, short, until, withRedis, type Wire } from './machines';

withRedis('a Redis that takes no writes', () => {
  let machines: Machines;
  let redis: ChildProcess;
  let operator: Redis;
  beforeAll(async () => {
    machines = await Machines.prepare();
    ({ redis, operator } = machines.operateRedis());
    await operator.ping();
  });
  afterEach(() => machines.stopServer());
  afterAll(() => machines.close());

  const readiness = async (): Promise<Wire> => (await fetch(`${machines.place}/readyz`)).json();
  const ready = () => until(async () => (await readiness()).status === 'ready');
  async function refusal(): Promise<Wire> {
    const response = await machines.post('/v1/jobs', short);
    expect(response.status).toBe(503);
    return ((await response.json()) as Wire).error;
  }

  test('full memory is why the server is not ready, and why it takes no job, until there is room', async () => {
    await machines.startServer();
    await ready();
    await operator.config('SET', 'maxmemory', '1');
    const reason = 'Redis, which holds the queue, refuses (OOM).';
    await until(async () => (await readiness()).status !== 'ready');
    expect(await readiness()).toEqual({ status: 'not ready', reason });
    expect(await refusal()).toMatchObject({ code: 'QUEUE_UNAVAILABLE', message: reason });
    await operator.config('SET', 'maxmemory', '0');
    await ready();
  }, 60_000);

  test('a replica is no queue', async () => {
    await machines.startServer();
    await operator.replicaof('127.0.0.1', '1');
    await until(async () => /READONLY/.test((await readiness()).reason));
    await operator.replicaof('NO', 'ONE');
    await ready();
  }, 60_000);

  test('a job that Redis takes when its client has been refused is taken back', async () => {
    await machines.startServer();
    await ready();
    await operator.client('PAUSE', '8000', 'ALL');
    const metrics = fetch(`${machines.place}/metrics`);
    expect(await refusal()).toMatchObject({
      code: 'QUEUE_UNAVAILABLE',
      message: expect.stringMatching(/does not answer/),
    });
    expect((await metrics).status).toBe(200);
    await ready();
    // What it takes late, it takes soon.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect((await machines.get('/v1/jobs?state=queued')).jobs).toEqual([]);
  }, 60_000);

  test('a database that is not there is not database 0', async () => {
    await operator.flushall();
    await machines.startServer({ redis: `${machines.redisUrl}/99` });
    expect(await refusal()).toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    expect((await readiness()).status).toBe('not ready');
    expect(await operator.keys('*')).toEqual([]);
  }, 60_000);

  test('a user who may not name connections hears the steps all the same', async () => {
    const rights = ['~bull:*', '~detail-guidance:*', '&detail-guidance:*', '+@all', '-@dangerous', '+info', '-client'];
    await operator.call('ACL', 'SETUSER', 'nameless', 'on', '>any', ...rights);
    await machines.startServer({ redis: machines.redisUrl.replace('//', '//nameless:any@') });
    await ready();
    const id = await machines.submit({ ...short, numInferenceSteps: 20 });
    const events = fetch(`${machines.place}/v1/jobs/${id}/events`).then((response) => response.text());
    const worker = await machines.startWorker();
    expect(await events).toMatch(/event: step\n[\s\S]*event: done\n/);
    worker.kill('SIGKILL');
  }, 120_000);

  test('a worker that ends while Redis does not answer keeps its pictures, and ends', async () => {
    await machines.startServer();
    await ready();
    const worker = await machines.startWorker();
    const id = await machines.submit({ ...short, numInferenceSteps: 60 });
    await machines.running(id);
    redis.kill('SIGSTOP');
    worker.kill('SIGTERM');
    await until(() => worker.exitCode !== null || worker.signalCode !== null);
    expect([worker.exitCode, worker.signalCode]).toEqual([0, null]);
    redis.kill('SIGCONT');
  }, 120_000);
});
