/** Workers that have several bundles: each holds one job, and leaves the others to who has nothing to do. */
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { Worker as BullWorker } from 'bullmq';
import type { Redis } from 'ioredis';

import { openBundle } from '../../../lib/bundle';
import { packageRoot } from '../../../lib/files/packageRoot';
import { createServer, createWorker, type Worker } from '../../../lib/server';
import { bundleChecksum, queueName } from '../../../lib/server/remote/protocol';

import { long, Machines, short, until, withRedis } from './machines';

withRedis('several bundles', () => {
  const folder = mkdtempSync(join(tmpdir(), 'detail-guidance-twin-'));
  const twin = join(folder, 'twin');
  /** Lasts for as long as the test. */
  const endless = { ...long, numImages: 16 };
  let machines: Machines;
  let operator: Redis;
  const workers: Worker[] = [];
  beforeAll(async () => {
    cpSync(join(packageRoot(), 'models', 'embedded'), twin, { recursive: true });
    // The same model, and another bundle.
    const note = Buffer.from('another');
    const manifest = JSON.parse(readFileSync(join(twin, 'bundle.json'), 'utf8')) as { files: Record<string, unknown> };
    manifest.files['note.txt'] = { sha256: createHash('sha256').update(note).digest('hex'), bytes: note.length };
    writeFileSync(join(twin, 'note.txt'), note);
    writeFileSync(join(twin, 'bundle.json'), JSON.stringify(manifest));
    machines = await Machines.prepare();
    ({ operator } = machines.operateRedis());
    await machines.startServer({ bundles: ['embedded', twin] });
    await until(async () => (await fetch(`${machines.place}/readyz`)).ok);
  }, 60_000);
  afterEach(async () => {
    for (const worker of workers.splice(0)) await worker.close();
  });
  afterAll(async () => {
    await machines.close();
    rmSync(folder, { recursive: true });
  });

  async function work(): Promise<void> {
    const { redisUrl: redis, results } = machines;
    const worker = createWorker({ bundles: ['embedded', twin], redis, results, logLevel: 'silent' });
    workers.push(worker);
    await worker.start();
  }

  const cancel = (id: string) => fetch(`${machines.place}/v1/jobs/${id}`, { method: 'DELETE' });
  const state = async (id: string) => (await machines.get(`/v1/jobs/${id}`)).state as string;

  test('maxQueue holds for all bundles together, and for requests that come at once', async () => {
    const { redisUrl: redis, results } = machines;
    const bundles = ['embedded', twin];
    const server = createServer({ port: 0, redis, results, logLevel: 'silent', bundles, maxQueue: 3 });
    await server.load();
    const submit = (bundle: string) => {
      const init = { method: 'POST', headers: { 'content-type': 'application/json', host: 'localhost' } };
      const body = JSON.stringify({ ...short, bundle });
      return server.fetch(new Request('http://localhost/v1/jobs', { ...init, body }));
    };
    await until(async () => (await server.fetch(new Request('http://localhost/readyz'))).ok);
    const first = await submit('twin');
    const answers = [first, ...(await Promise.all(Array.from({ length: 10 }, () => submit('embedded'))))];
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 202, 202, ...Array<number>(8).fill(429)]);
    for (const answer of answers.filter(({ status }) => status === 202)) {
      const { id } = (await answer.json()) as { id: string };
      await cancel(id);
      expect((await machines.ended(id)).state).toBe('cancelled');
    }
    await server.close();
  }, 60_000);

  test('a job of one bundle waits for no job of another where a worker is idle', async () => {
    await work();
    const first = await machines.submit(endless);
    await machines.running(first);
    const second = await machines.submit({ ...short, bundle: 'twin' });
    await work();
    expect(await machines.ended(second)).toMatchObject({ state: 'done', bundle: 'twin' });
    expect(await state(first)).toBe('running');
    await cancel(first);
    expect((await machines.ended(first)).state).toBe('cancelled');
  }, 120_000);

  test('a worker takes the jobs of all its bundles, in turns', async () => {
    const ids: string[] = [];
    for (let seed = 0; seed < 3; seed++) {
      for (const bundle of ['embedded', 'twin']) ids.push(await machines.submit({ ...short, seed, bundle }));
    }
    await work();
    for (const id of ids) expect(await machines.ended(id)).toMatchObject({ state: 'done' });
  }, 120_000);

  test('a job that waits for a worker that makes one of another bundle is cancelled at once', async () => {
    await work();
    const first = await machines.submit(endless);
    await machines.running(first);
    const second = await machines.submit({ ...short, bundle: 'twin' });
    await cancel(second);
    expect((await machines.ended(second)).state).toBe('cancelled');
    expect(await state(first)).toBe('running');
    await cancel(first);
    expect((await machines.ended(first)).state).toBe('cancelled');
  }, 120_000);

  test('a job that has cost too many workers is not tried again', async () => {
    const name = queueName(bundleChecksum(await openBundle(twin)));
    const id = await machines.submit({ ...short, bundle: 'twin' });
    // What BullMQ leaves for who takes the job.
    await operator.hset(`bull:${name}:${id}`, 'defa', 'job stalled more than allowable limit');
    await work();
    const { state: end, error } = await machines.ended(id);
    expect([end, error.code, error.message]).toEqual(['failed', 'INTERNAL', 'job stalled more than allowable limit']);
    expect((await machines.get('/v1/jobs?state=failed')).jobs).toHaveLength(1);
  }, 60_000);

  test('a job that is cancelled while its worker is dead is not made by the next', async () => {
    const name = queueName(bundleChecksum(await openBundle(twin)));
    const connection = { port: machines.port, maxRetriesPerRequest: null };
    const victim = new BullWorker(name, null, { connection, lockDuration: 1000 });
    const id = await machines.submit({ ...endless, bundle: 'twin' });
    await until(async () => (await victim.getNextJob('a token', { block: false })) !== undefined);
    await machines.running(id);
    await cancel(id);
    await victim.close();
    await work();
    expect((await machines.ended(id)).state).toBe('cancelled');
  }, 120_000);
});
