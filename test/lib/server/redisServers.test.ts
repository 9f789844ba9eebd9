/** Several servers on one Redis: what one of them took another is asked for, and one of them stops. */
import type { ChildProcess } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';

import { packageRoot } from '../../../lib/files/packageRoot';
import { createServer, type Server } from '../../../lib/server';

import { long, Machines, short, until, withRedis, type Wire } from './machines';

withRedis('several servers', () => {
  let machines: Machines;
  let worker: ChildProcess;
  const others: Server[] = [];
  beforeAll(async () => {
    machines = await Machines.prepare();
    machines.startRedis();
    await machines.startServer();
    await until(async () => (await fetch(`${machines.place}/readyz`)).ok);
    worker = await machines.startWorker();
  }, 120_000);
  afterEach(() => Promise.all(others.splice(0).map((server) => server.close())));
  afterAll(() => machines.close());

  /** Another server, which has heard of no job yet. */
  async function another(bundles = ['embedded']): Promise<string> {
    const { redisUrl: redis, results } = machines;
    const server = createServer({ port: 0, redis, results, logLevel: 'silent', bundles });
    others.push(server);
    const place = await server.listen();
    await until(async () => (await fetch(`${place}/readyz`)).ok);
    return place;
  }

  const namesIn = (text: string) => [...text.matchAll(/^event: (\w+)$/gm)].map(([, name]) => name);

  test('all pictures of a job can be asked for at once where it is not known yet', async () => {
    const id = await machines.submit({ ...short, numImages: 4 });
    await machines.ended(id);
    const place = await another();
    const answers: Promise<Response>[] = [];
    // Some of them while it is looked up.
    for (let asked = 0; asked < 60; asked++) {
      answers.push(fetch(`${place}/v1/jobs/${id}/images/${asked % 4}`));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect([...new Set((await Promise.all(answers)).map(({ status }) => status))]).toEqual([200]);
  }, 120_000);

  test('a server that has another name for the bundle cancels its jobs too', async () => {
    const folder = join(machines.results, 'named-otherwise');
    symlinkSync(join(packageRoot(), 'models', 'embedded'), folder);
    const place = await another([folder]);
    const id = await machines.submit(long);
    await machines.running(id);
    expect((await fetch(`${place}/v1/jobs/${id}`, { method: 'DELETE' })).status).toBe(202);
    expect((await machines.ended(id)).state).toBe('cancelled');
  }, 60_000);

  test('two readers of events at once hear the steps, and one that another server told the beginning hears the end', async () => {
    const id = await machines.submit({ ...long, numImages: 2 });
    await machines.running(id);
    const place = await another();
    const read = async (last: string) =>
      namesIn(await (await fetch(`${place}/v1/jobs/${id}/events`, { headers: { 'last-event-id': last } })).text());
    for (const names of await Promise.all([read('0'), read('0'), read('2')])) {
      expect(names.filter((name) => name === 'step').length).toBeGreaterThan(1);
      expect(names.at(-1)).toBe('done');
    }
    // Ends with an event of as low a number, where servers count alike.
    const late = await another();
    const answer = await fetch(`${late}/v1/jobs/${id}/events`, { headers: { 'last-event-id': '1' } });
    expect(namesIn(await answer.text())).toEqual(['done']);
  }, 120_000);

  test('a server that stops answers who waits: with the picture of the job that runs, else with a refusal', async () => {
    const server = createServer({ port: 0, redis: machines.redisUrl, results: machines.results, logLevel: 'silent' });
    const place = await server.listen();
    await until(async () => (await fetch(`${place}/readyz`)).ok);
    const init = (body: unknown) => ({
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const running = fetch(`${place}/v1/images`, init({ ...long, numImages: 1 }));
    await until(async () => /jobs_running 1/.test(await (await fetch(`${place}/metrics`)).text()));
    const waiting = fetch(`${place}/v1/images`, init(short));
    const job = (await (await fetch(`${place}/v1/jobs`, init({ ...short, seed: 5 }))).json()) as Wire;
    await until(async () => /queue_length 2/.test(await (await fetch(`${place}/metrics`)).text()));
    const closing = server.close();
    const refused = await waiting;
    expect([refused.status, ((await refused.json()) as Wire).error.code]).toEqual([503, 'SHUTTING_DOWN']);
    expect((await running).status).toBe(200);
    await closing;
    // Whose name was told is made all the same, and nobody makes what nobody waits for.
    expect(await machines.ended(job.id)).toMatchObject({ state: 'done', images: [{ seed: 5 }] });
    expect((await machines.get('/v1/jobs?state=queued')).jobs).toEqual([]);
  }, 120_000);

  test('a job whose bundle no worker has says so, to its client', async () => {
    worker.kill('SIGTERM');
    await until(() => worker.exitCode !== null);
    await until(async () => (await machines.get('/v1/bundles')).workers.length === 0);
    const id = await machines.submit(short);
    const gone = new AbortController();
    const { body } = await fetch(`${machines.place}/v1/jobs/${id}/events`, { signal: gone.signal });
    let text = '';
    for await (const part of body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(part).toString();
      if (text.includes('NO_WORKER')) break;
    }
    gone.abort();
    expect(text).toMatch(/No worker has the bundle 'embedded' with the checksum [0-9a-f]{16}: its jobs wait for one/);
    worker = await machines.startWorker();
    expect(await machines.ended(id)).toMatchObject({ state: 'done' });
  }, 120_000);
});
