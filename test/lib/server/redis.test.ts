/** Many machines: a real Redis, and workers as processes of their own, one of which is killed. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer as createSocket, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { loadPipeline } from '../../../lib';
import { decodePng } from '../../../lib/image/png';
import { packageRoot } from '../../../lib/files/packageRoot';
import { createServer, type Server } from '../../../lib/server';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- what came over the wire
type Wire = any;

const hasRedis = spawnSync('redis-server', ['--version']).status === 0;
if (!hasRedis) console.warn('redis-server is not installed: the tests with workers are skipped');
const withRedis = hasRedis ? describe : describe.skip;

const folder = mkdtempSync(join(tmpdir(), 'detail-guidance-redis-'));
const results = join(folder, 'results');
const children = new Set<ChildProcess>();
let port: number;
let url: string;
let place: string;
let server: Server;

function start(program: string, args: string[]): ChildProcess {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

function startRedis(): ChildProcess {
  return start('redis-server', [
    '--port',
    String(port),
    '--dir',
    folder,
    '--appendonly',
    'yes',
    '--logfile',
    'redis.log',
  ]);
}

async function startWorker(): Promise<ChildProcess> {
  const cli = join(packageRoot(), 'dist', 'cli.js');
  const child = start(process.execPath, [cli, 'worker', '--redis', url, '--results', results, '--log-level', 'silent']);
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  expect(String(line)).toMatch(/taking jobs/);
  return child;
}

const post = (path: string, body: unknown) =>
  fetch(place + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

async function submit(body: unknown): Promise<string> {
  const response = await post('/v1/jobs', body);
  expect(response.status).toBe(202);
  return ((await response.json()) as Wire).id;
}

async function ended(id: string): Promise<Wire> {
  for (;;) {
    const job = (await (await fetch(`${place}/v1/jobs/${id}`)).json()) as Wire;
    if (!['queued', 'running'].includes(job.state)) return job;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}

const picture = async (id: string) => Buffer.from(await (await fetch(`${place}/v1/jobs/${id}/images/0`)).arrayBuffer());

const short = { classLabel: 'Sneaker', numInferenceSteps: 3 };
// Long enough to be killed in the middle of.
const long = { classLabel: 'Coat', seed: 11, numInferenceSteps: 200, numImages: 4 };

withRedis('workers', () => {
  beforeAll(async () => {
    const socket = createSocket().listen(0);
    await once(socket, 'listening');
    ({ port } = socket.address() as AddressInfo);
    socket.close();
    url = `redis://127.0.0.1:${port}`;
    startRedis();
    mkdirSync(results);
    server = createServer({ port: 0, redis: url, results, logLevel: 'silent' });
    place = await server.listen();
    await until(async () => (await fetch(`${place}/v1/bundles`)).ok);
  });

  afterAll(async () => {
    await server?.close();
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  test('pictures of a worker have the bytes that generate gives, and the worker is announced', async () => {
    await startWorker();
    const id = await submit({ ...short, seed: 7 });
    expect(await ended(id)).toMatchObject({ state: 'done', images: [{ seed: 7 }] });
    const pipeline = await loadPipeline('embedded');
    const { images } = await pipeline.generate({ ...short, seed: 7 });
    await pipeline.dispose();
    expect((await picture(id)).equals(Buffer.from(images[0]!.toPng()))).toBe(true);
    await until(async () => ((await (await fetch(`${place}/v1/bundles`)).json()) as Wire).workers.length === 1);
  }, 120_000);

  test('what is wrong with a request is said once, without another try', async () => {
    const id = await submit({ ...short, classLabel: 'Hat' });
    const { state, error } = await ended(id);
    expect([state, error.code]).toEqual(['failed', 'CLASS_OUT_OF_RANGE']);
  }, 60_000);

  test('a job is cancelled while it runs and while it waits', async () => {
    const running = await submit(long);
    await until(async () => ((await (await fetch(`${place}/v1/jobs/${running}`)).json()) as Wire).state === 'running');
    const waiting = await submit(short);
    for (const id of [waiting, running]) {
      await fetch(`${place}/v1/jobs/${id}`, { method: 'DELETE' });
      expect((await ended(id)).state).toBe('cancelled');
    }
  }, 60_000);

  test('jobs with a priority go first, the lowest number before the others', async () => {
    const first = await submit({ ...long, numImages: 1 });
    await until(async () => ((await (await fetch(`${place}/v1/jobs/${first}`)).json()) as Wire).state === 'running');
    const ids: Record<string, string> = {};
    for (const priority of [undefined, 2, 1]) {
      ids[String(priority)] = await submit({ ...short, seed: 1, ...(priority ? { priority } : {}) });
    }
    const ends: [string, number][] = [];
    for (const [name, id] of Object.entries(ids)) ends.push([name, Date.parse((await ended(id)).ended)]);
    expect(ends.sort((a, b) => a[1] - b[1]).map(([name]) => name)).toEqual(['1', '2', 'undefined']);
  }, 60_000);

  test('a worker that is killed loses nothing: another makes the same picture, once', async () => {
    const [victim] = [...children].filter(({ spawnargs }) => spawnargs.includes('worker'));
    const id = await submit(long);
    const others = await Promise.all([1, 2, 3].map((seed) => submit({ ...short, seed })));
    await until(async () => ((await (await fetch(`${place}/v1/jobs/${id}`)).json()) as Wire).state === 'running');
    victim!.kill('SIGKILL');
    await Promise.all([startWorker(), startWorker()]);
    for (const job of [id, ...others]) expect(await ended(job)).toMatchObject({ state: 'done' });
    const pipeline = await loadPipeline('embedded');
    const { images } = await pipeline.generate({ ...long, numImages: 1 });
    await pipeline.dispose();
    const stored = readdirSync(results).filter((name) => name.startsWith(id));
    expect(stored.sort()).toEqual([0, 1, 2, 3].map((index) => `${id}-${index}.png`));
    // The plan in the metadata counts pictures; the picture itself is the same.
    expect(Buffer.from(decodePng(await picture(id)).pixels).equals(Buffer.from(images[0]!.pixels))).toBe(true);
  }, 180_000);

  test('Redis that is away is 503, and when it is back the queue goes on', async () => {
    const redis = [...children].find(({ spawnargs }) => spawnargs[0] === 'redis-server')!;
    redis.kill('SIGTERM');
    await once(redis, 'exit');
    const refused = await post('/v1/jobs', short);
    expect([refused.status, ((await refused.json()) as Wire).error.code]).toEqual([503, 'QUEUE_UNAVAILABLE']);
    startRedis();
    await until(async () => (await fetch(`${place}/v1/bundles`)).ok);
    const id = await submit({ ...short, seed: 3 });
    expect(await ended(id)).toMatchObject({ state: 'done' });
  }, 120_000);
});

test('a server with Redis needs a place for results', () => {
  expect(() => createServer({ redis: 'redis://127.0.0.1:1' })).toThrow(
    expect.objectContaining({ code: 'BAD_OPTION', message: expect.stringMatching(/options\.results: expected/) }),
  );
});
