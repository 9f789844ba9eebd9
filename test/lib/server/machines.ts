/** Many machines on this one: a real Redis, a server, and workers as processes of their own. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer as createSocket, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect } from '@jest/globals';
import { Redis } from 'ioredis';

import { packageRoot } from '../../../lib/files/packageRoot';
import { createServer, type Server, type ServerOptions } from '../../../lib/server';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- what came over the wire
export type Wire = any;

const hasRedis = spawnSync('redis-server', ['--version']).status === 0;
if (!hasRedis) console.warn('redis-server is not installed: the tests with workers are skipped');
export const withRedis = hasRedis ? describe : describe.skip;

export const short = { classLabel: 'Sneaker', numInferenceSteps: 3 };
// Long enough for something to happen in the middle of it.
export const long = { classLabel: 'Coat', seed: 11, numInferenceSteps: 200, numImages: 4 };

export async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}

export class Machines {
  readonly #folder = mkdtempSync(join(tmpdir(), 'detail-guidance-redis-'));
  /** A folder; a test may name another place. */
  results = join(this.#folder, 'results');
  readonly #children = new Set<ChildProcess>();
  #server: Server | null = null;
  #operator: Redis | null = null;

  private constructor(
    readonly port: number,
    readonly redisUrl = `redis://127.0.0.1:${port}`,
  ) {
    mkdirSync(this.results);
  }

  /** Address of the server. */
  place = '';

  static async prepare(): Promise<Machines> {
    const socket = createSocket().listen(0);
    await once(socket, 'listening');
    const { port } = socket.address() as AddressInfo;
    socket.close();
    return new Machines(port);
  }

  startRedis(): ChildProcess {
    const settings = { port: this.port, dir: this.#folder, appendonly: 'yes', logfile: 'redis.log' };
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
    return this.#start('redis-server', args);
  }

  /** A Redis, and who operates it. */
  operateRedis(): { redis: ChildProcess; operator: Redis } {
    const redis = this.startRedis();
    this.#operator = new Redis(this.redisUrl);
    return { redis, operator: this.#operator };
  }

  async stopRedis(redis: ChildProcess): Promise<void> {
    redis.kill('SIGTERM');
    await once(redis, 'exit');
  }

  /** What happens to a Redis that keeps nothing on its disk and is started anew. */
  async forgetAll(): Promise<void> {
    const client = new Redis(this.redisUrl);
    await client.flushall();
    client.disconnect();
  }

  async startServer(options: ServerOptions = {}): Promise<void> {
    const settings = { port: 0, redis: this.redisUrl, results: this.results, logLevel: 'silent' as const };
    this.#server = createServer({ ...settings, ...options });
    this.place = await this.#server.listen();
  }

  async stopServer(): Promise<void> {
    await this.#server?.close();
    this.#server = null;
  }

  /** @param args of Node, before the program */
  launchWorker(args: string[] = [], bundles: string[] = []): ChildProcess {
    const cli = join(packageRoot(), 'dist', 'cli.js');
    const flags = ['--redis', this.redisUrl, '--results', this.results, '--log-level', 'silent'];
    return this.#start(process.execPath, [...args, cli, 'worker', ...bundles, ...flags]);
  }

  async startWorker(args: string[] = [], bundles: string[] = []): Promise<ChildProcess> {
    const child = this.launchWorker(args, bundles);
    const [line] = (await once(child.stdout!, 'data')) as [Buffer];
    expect(String(line)).toMatch(/taking jobs/);
    return child;
  }

  post(path: string, body: unknown): Promise<Response> {
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    return fetch(this.place + path, init);
  }

  async get(path: string): Promise<Wire> {
    return (await fetch(this.place + path)).json();
  }

  async submit(body: unknown): Promise<string> {
    const response = await this.post('/v1/jobs', body);
    expect(response.status).toBe(202);
    return ((await response.json()) as Wire).id;
  }

  async running(id: string): Promise<void> {
    await until(async () => (await this.get(`/v1/jobs/${id}`)).state === 'running');
  }

  async ended(id: string): Promise<Wire> {
    for (;;) {
      const response = await fetch(`${this.place}/v1/jobs/${id}`);
      const job = (await response.json()) as Wire;
      if (response.ok && !['queued', 'running'].includes(job.state)) return job;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async picture(id: string): Promise<Buffer> {
    return Buffer.from(await (await fetch(`${this.place}/v1/jobs/${id}/images/0`)).arrayBuffer());
  }

  async close(): Promise<void> {
    await this.stopServer();
    this.#operator?.disconnect();
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #start(program: string, args: string[]): ChildProcess {
    // Jest's own process.env is a copy, which spawn does not know.
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], env: process.env });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }
}
