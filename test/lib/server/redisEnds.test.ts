/** Many machines: what a server says of jobs that have ended, whatever their worker made of them. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { UnrecoverableError, Worker, type Job } from 'bullmq';

import { openBundle } from '../../../lib/bundle';
import { bundleChecksum, queueName, type RemoteRequest } from '../../../lib/server/remote/protocol';
import { openResultStore } from '../../../lib/server/remote/resultStore';

import { Machines, short, until, withRedis, type Wire } from './machines';

withRedis('jobs that have ended', () => {
  let machines: Machines;
  let worker: Worker;
  beforeAll(async () => {
    machines = await Machines.prepare();
    machines.startRedis();
  });
  beforeEach(async () => {
    await machines.startServer({ keepSeconds: 1, maxQueue: 1000 });
    await until(async () => (await fetch(`${machines.place}/readyz`)).ok);
  });
  afterEach(async () => {
    await worker.close();
    await machines.stopServer();
  });
  afterAll(() => machines.close());

  /** A worker of somebody else. */
  async function work(run: (job: Job<RemoteRequest>) => Promise<unknown>): Promise<void> {
    const name = queueName(bundleChecksum(await openBundle('embedded')));
    worker = new Worker(name, run, { connection: { port: machines.port, maxRetriesPerRequest: null } });
  }

  test('a worker that gives nothing ends its job, and the server goes on', async () => {
    await work(() => Promise.resolve(null));
    for (let tries = 0; tries < 2; tries++) {
      const { state, error } = await machines.ended(await machines.submit(short));
      expect([state, error.code]).toEqual(['failed', 'RESULT_UNAVAILABLE']);
    }
  }, 60_000);

  test('a job whose time is over and whose picture is gone is none, also where the queue still has it', async () => {
    const facts = { seed: 1, width: 1, height: 1, frames: 1, frameRate: null };
    const store = await openResultStore(machines.results);
    await work(async ({ id }) => {
      await store.put(`${id}-0.png`, new Uint8Array(8));
      return { images: [{ ...facts, key: `${id}-0.png` }], plan: {}, evaluations: 1, seconds: 1 };
    });
    const id = await machines.submit(short);
    expect(await machines.ended(id)).toMatchObject({ state: 'done' });
    const numbers = await (await fetch(`${machines.place}/metrics`)).text();
    expect(numbers).toMatch(/jobs_total\{state="done"\} 1$/m);
    expect(numbers).toMatch(/picture_seconds_sum\{bundle="embedded"\} 1$/m);
    await machines.stopServer();
    await machines.startServer({ keepSeconds: 1 });
    expect(await machines.ended(id)).toMatchObject({ state: 'done' });
    rmSync(join(machines.results, `${id}-0.png`));
    await machines.stopServer();
    await machines.startServer({ keepSeconds: 1 });
    const status = async () => (await fetch(`${machines.place}/v1/jobs/${id}`)).status;
    await until(async () => (await status()) === 404);
  }, 60_000);

  test('what failed for good is listed, however many were cancelled after it', async () => {
    await work(({ data }) =>
      Promise.reject(
        new UnrecoverableError(JSON.stringify({ code: data.request!.seed === 1 ? 'INTERNAL' : 'CANCELLED' })),
      ),
    );
    const failed = await machines.submit({ ...short, seed: 1 });
    const others = await Promise.all(Array.from({ length: 120 }, () => machines.submit({ ...short, seed: 2 })));
    for (const id of others) expect((await machines.ended(id)).state).toBe('cancelled');
    for (const limit of [1, 50]) {
      const { jobs } = await machines.get(`/v1/jobs?limit=${limit}`);
      expect((jobs as Wire[]).map(({ id }) => id as string)).toContain(failed);
    }
    expect((await machines.get('/v1/jobs?state=cancelled&limit=7')).jobs).toHaveLength(7);
  }, 60_000);
});
