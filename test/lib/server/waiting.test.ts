/** Requests that wait for a model outside the queue: while its bundle is loaded, and while it is analysed. */
import { afterEach, expect, jest, test } from '@jest/globals';
import { Hono } from 'hono';

import { openBundle } from '../../../lib/bundle';
import { createServer } from '../../../lib/server';
import { BundlePool } from '../../../lib/server/bundlePool';
import { Job } from '../../../lib/server/job';
import { analysisRoutes } from '../../../lib/server/routes/analysis';
import { imageRequestSchema, type ImageRequest } from '../../../lib/server/request';
import { accept } from '../../../lib/server/accept';
import type { Services } from '../../../lib/server/services';

afterEach(() => {
  jest.useRealTimers();
});

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  new Request(`http://localhost${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', host: 'localhost', ...headers },
    body: JSON.stringify(body),
  });

test('a request whose bundle is being loaded goes into the queue, and does not wait for that', async () => {
  const pool = new BundlePool({ bundles: ['embedded'], load: {} });
  const loading = pool.with('embedded', () => Promise.resolve());
  let isLoaded = false;
  void loading.then(() => (isLoaded = true));
  let wasLoaded: boolean | null = null;
  const submit = (bundle: string, request: ImageRequest) => {
    wasLoaded = isLoaded;
    return Promise.resolve(new Job(bundle, request));
  };
  const settings = { maxImages: 16, maxSteps: 250, maxInputPixels: 1 };
  const services = { bundles: pool, settings, jobs: { submit } } as unknown as Services;
  expect(pool.isLoaded('embedded')).toBe(false);
  await accept(imageRequestSchema.parse({ classLabel: 'Coat' }), services);
  expect(wasLoaded).toBe(false);
  await loading;
  expect(pool.isLoaded('embedded')).toBe(true);
  await pool.close();
});

test('as many plans wait for a bundle as jobs may', async () => {
  const server = createServer({ bundles: ['embedded', 'embedded'], port: 0, logLevel: 'silent', maxQueue: 2 });
  const plan = () => server.fetch(post('/v1/plan', { bundle: 'embedded-2', classLabel: 'Coat' }));
  const answers = await Promise.all([plan(), plan(), plan()]);
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 429]);
  await server.close();
});

/** Analyses with a pool whose bundle is loaded as `use` says. */
async function analysesWith(use: () => Promise<never>) {
  const manifest = await openBundle('embedded');
  const log = { error: jest.fn() };
  const bundles = {
    preferred: 'embedded',
    check: () => undefined,
    manifest: () => Promise.resolve(manifest),
    with: use,
  };
  const app = new Hono();
  const settings = { maxQueue: 1, maxImages: 16, maxSteps: 250 };
  analysisRoutes(app, { bundles, settings, log } as unknown as Services);
  const answer = await app.fetch(post('/v1/analysis/gates', {}, { accept: 'text/event-stream' }));
  return { reader: answer.body!.getReader(), log };
}

const text = async (reader: ReadableStreamDefaultReader<Uint8Array>) =>
  Buffer.from((await reader.read()).value!).toString();

test('the stream of an analysis that waits says that it is alive', async () => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
  const { reader } = await analysesWith(() => new Promise<never>(() => undefined));
  jest.advanceTimersByTime(15_000);
  expect(await text(reader)).toBe(': alive\n\n');
  await reader.cancel();
});

test('an analysis that fails for a reason of ours is in the log, and tells nothing of it', async () => {
  const failure = new Error('what nobody should know');
  const { reader, log } = await analysesWith(() => Promise.reject(failure));
  const told = await text(reader);
  expect(told).toMatch(/^event: failed\ndata: \{"code":"INTERNAL"/);
  expect(told).not.toMatch(/what nobody/);
  expect(log.error).toHaveBeenCalledWith({ err: failure }, 'an analysis failed');
});
