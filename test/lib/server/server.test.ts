/** The server as a client sees it: over a socket, with the embedded model. */
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { loadPipeline } from '../../../lib';
import { traceMagnitude } from '../../../lib/analysis';
import { createServer, type Server } from '../../../lib/server';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- what came over the wire
type Wire = any;

let server: Server;
let url: string;

beforeAll(async () => {
  server = createServer({ port: 0, logLevel: 'silent', maxQueue: 3, maxSteps: 60, maxImages: 4, maxBody: 100_000 });
  url = await server.listen();
});
afterAll(() => server.close());

const short = { classLabel: 'Sneaker', seed: 7, numInferenceSteps: 3 };

function post(path: string, body: unknown, init: RequestInit = {}): Promise<Response> {
  const headers = { 'content-type': 'application/json', ...(init.headers as Record<string, string>) };
  return fetch(url + path, { ...init, method: 'POST', headers, body: JSON.stringify(body) });
}

async function eventsOf(id: string, headers: Record<string, string> = {}): Promise<{ name: string; data: Wire }[]> {
  const response = await fetch(`${url}/v1/jobs/${id}/events`, { headers });
  const text = await response.text();
  return text
    .split('\n\n')
    .filter((block) => block.includes('event: '))
    .map((block) => ({
      name: /event: (.*)/.exec(block)![1]!,
      data: JSON.parse(/data: (.*)/.exec(block)![1]!),
    }));
}

test('a picture over HTTP has the bytes that generate gives', async () => {
  const response = await post('/v1/images', short, { headers: { accept: 'image/png' } });
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('image/png');
  expect(response.headers.get('x-seed')).toBe('7');
  const received = Buffer.from(await response.arrayBuffer());
  const pipeline = await loadPipeline('embedded');
  const { images } = await pipeline.generate(short);
  await pipeline.dispose();
  expect(received.equals(Buffer.from(images[0]!.toPng()))).toBe(true);
});

test('several pictures come as JSON, with plan and seeds', async () => {
  const response = await post('/v1/images', { ...short, numImages: 2 });
  const body = (await response.json()) as Wire;
  expect(response.status).toBe(200);
  expect(body.images.map(({ seed }: { seed: number }) => seed)).toEqual([7, 8]);
  expect(Buffer.from(body.images[0].png, 'base64').subarray(1, 4).toString()).toBe('PNG');
  expect(body.plan.steps).toHaveLength(3);
  const asPng = await post('/v1/images', { ...short, numImages: 2 }, { headers: { accept: 'image/png' } });
  expect(asPng.status).toBe(400);
});

test('a job tells its steps and previews in order, and keeps its picture', async () => {
  const accepted = await post('/v1/jobs', { ...short, preview: true });
  expect(accepted.status).toBe(202);
  const { id } = (await accepted.json()) as { id: string };
  expect(accepted.headers.get('location')).toBe(`/v1/jobs/${id}`);
  const events = await eventsOf(id);
  const names = events.map(({ name }) => name);
  expect(names.at(-1)).toBe('done');
  expect(names.indexOf('started')).toBeLessThan(names.indexOf('step'));
  const steps = events.filter(({ name }) => name === 'step').map(({ data }) => data.step);
  expect(steps).toEqual([...steps].sort((a, b) => a - b));
  expect(steps.at(-1)).toBe(3);
  const preview = events.find(({ name }) => name === 'preview')!;
  expect(Buffer.from(preview.data.png, 'base64').subarray(1, 4).toString()).toBe('PNG');
  const picture = await fetch(url + events.at(-1)!.data.images[0].url);
  expect(picture.headers.get('content-type')).toBe('image/png');
  const state = (await (await fetch(`${url}/v1/jobs/${id}`)).json()) as Wire;
  expect(state).toMatchObject({ id, state: 'done', bundle: 'embedded', images: [{ seed: 7 }] });
  // Who comes back with the number of the last event that was seen is told the rest.
  const rest = (await eventsOf(id, { 'last-event-id': '1' })).map(({ name }) => name);
  expect([rest.includes('queued'), rest.at(-1)]).toEqual([false, 'done']);
  expect((await fetch(`${url}/v1/jobs/${id}/images/1`)).status).toBe(404);
});

test('a job that is deleted ends as cancelled, running or waiting', async () => {
  const long = { ...short, numInferenceSteps: 60, numImages: 4 };
  const [running, waiting] = await Promise.all(
    [0, 1].map(async () => (await (await post('/v1/jobs', long)).json()) as { id: string }),
  );
  for (const { id } of [waiting!, running!]) {
    const deleted = await fetch(`${url}/v1/jobs/${id}`, { method: 'DELETE' });
    expect(deleted.status).toBe(202);
    expect((await eventsOf(id)).at(-1)!.name).toBe('cancelled');
    expect(((await (await fetch(`${url}/v1/jobs/${id}`)).json()) as Wire).state).toBe('cancelled');
  }
});

test('a client that goes away ends its request', async () => {
  const abort = new AbortController();
  const gone = post('/v1/images', { ...short, numInferenceSteps: 60, numImages: 4 }, { signal: abort.signal });
  const failed = expect(gone).rejects.toThrow();
  const running = async () =>
    /detail_guidance_jobs_running (\d)/.exec(await (await fetch(`${url}/metrics`)).text())![1];
  while ((await running()) !== '1') await new Promise((resolve) => setTimeout(resolve, 5));
  abort.abort();
  await failed;
  const before = performance.now();
  while ((await running()) !== '0') {
    expect(performance.now() - before).toBeLessThan(30_000);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(await (await fetch(`${url}/metrics`)).text()).toMatch(/jobs_total\{state="cancelled"\} [1-9]/);
});

test('a full queue is 429 with Retry-After, and what was accepted is made in order', async () => {
  const long = { ...short, numInferenceSteps: 20 };
  const answers = await Promise.all(Array.from({ length: 8 }, () => post('/v1/jobs', long)));
  const accepted = answers.filter(({ status }) => status === 202);
  const refused = answers.filter(({ status }) => status === 429);
  expect(accepted.length).toBeGreaterThanOrEqual(3);
  expect(refused.length).toBeGreaterThanOrEqual(1);
  expect(accepted.length + refused.length).toBe(8);
  expect(Number(refused[0]!.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  expect(((await refused[0]!.json()) as Wire).error.code).toBe('QUEUE_FULL');
  const ended: number[] = [];
  for (const answer of accepted) {
    const { id } = (await answer.json()) as { id: string };
    expect((await eventsOf(id)).at(-1)!.name).toBe('done');
    ended.push(Date.parse(((await (await fetch(`${url}/v1/jobs/${id}`)).json()) as Wire).ended));
  }
  expect(ended).toEqual([...ended].sort((a, b) => a - b));
});

test.each([
  ['an unknown option', { ...short, sed: 7 }, 400, 'BAD_OPTION', /body\.sed.*'seed'/],
  ['a wrong type', { ...short, numInferenceSteps: 'many' }, 400, 'BAD_OPTION', /body\.numInferenceSteps: expected/],
  ['an unknown class', { ...short, classLabel: 'Hat' }, 400, 'CLASS_OUT_OF_RANGE|BAD_OPTION', /Hat/],
  ['a layer that is not there', { ...short, guidance: { detail: { layer: 99 } } }, 400, 'LAYER_OUT_OF_RANGE', /99/],
  ['too many steps for this server', { ...short, numInferenceSteps: 61 }, 400, 'BAD_OPTION', /at most 60/],
  ['too many pictures for this server', { ...short, numImages: 5 }, 400, 'BAD_OPTION', /at most 4/],
  ['an unknown bundle', { ...short, bundle: 'other' }, 404, 'UNKNOWN_BUNDLE', /embedded/],
  ['a path as a bundle', { ...short, bundle: '../../etc' }, 404, 'UNKNOWN_BUNDLE', /embedded/],
  ['a picture that is none', { ...short, image: 'AAAA' }, 400, 'BAD_TENSOR|BAD_OPTION', /./],
  [
    'a tensor of another size',
    { ...short, latents: { dtype: 'float32', shape: [1, 1, 28, 28], data: 'AAAA' } },
    400,
    'BAD_TENSOR',
    /3136 bytes/,
  ],
])('%s is refused with a code', async (_, body, status, code, message) => {
  for (const path of ['/v1/images', '/v1/jobs', '/v1/plan']) {
    const response = await post(path, body);
    const { error } = (await response.json()) as Wire;
    expect([path, response.status, error.code, error.message]).toEqual([
      path,
      status,
      expect.stringMatching(new RegExp(`^(${code})$`)),
      expect.stringMatching(message),
    ]);
  }
});

test('bodies that are no JSON, of another type, or too large, are refused', async () => {
  const send = (body: string, type: string) =>
    fetch(`${url}/v1/images`, { method: 'POST', headers: { 'content-type': type }, body });
  expect((await send('{"classLabel":', 'application/json')).status).toBe(400);
  expect((await send('a=b', 'application/x-www-form-urlencoded')).status).toBe(415);
  expect((await send(JSON.stringify({ prompt: 'x'.repeat(200_000) }), 'application/json')).status).toBe(413);
  expect((await fetch(`${url}/v1/images`)).status).toBe(405);
  expect((await fetch(`${url}/v1/jobs/../../etc/passwd`)).status).toBe(404);
});

test('a client that connects and says nothing does not hold up the others', async () => {
  const { port, hostname } = new URL(url);
  const silent = connect(Number(port), hostname);
  await new Promise((resolve) => silent.once('connect', resolve));
  silent.write(
    'POST /v1/images HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{',
  );
  expect((await post('/v1/images', short)).status).toBe(200);
  silent.destroy();
});

test('other hosts and origins are refused where there is no token', async () => {
  const { port, hostname } = new URL(url);
  const status = (headers: Record<string, string>) =>
    new Promise((resolve) => {
      httpRequest({ hostname, port, path: '/v1/bundles', headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).end();
    });
  expect(await status({ host: 'evil.example' })).toBe(401);
  expect(await status({ host: `localhost:${port}`, origin: 'https://evil.example' })).toBe(401);
  expect(await status({ host: `localhost:${port}`, origin: `http://localhost:${port}` })).toBe(200);
});

test('bundles, plan, OpenAPI, health', async () => {
  const { bundles, load } = (await (await fetch(`${url}/v1/bundles`)).json()) as Wire;
  expect(bundles[0]).toMatchObject({ id: 'embedded', loaded: true, conditioning: 'class', hiddenChannels: 128 });
  // Where it is computed, and what the server was told of that: nothing.
  expect([bundles[0].device, bundles[0].dtype, load]).toEqual([
    expect.stringMatching(/^(cpu|cuda:\d)$/),
    'float32',
    {},
  ]);
  expect(bundles[0].classes).toContain('Sneaker');
  expect(bundles[0].layers).toBeGreaterThan(0);
  const { explanation } = (await (await post('/v1/plan', short)).json()) as Wire;
  expect(explanation.evaluations).toBe(3);
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as Wire;
  expect(document.openapi).toBe('3.1.0');
  expect(Object.keys(document.components.schemas.ImageRequest.properties)).toEqual(
    expect.arrayContaining(['bundle', 'prompt', 'classLabel', 'guidance', 'seed', 'latents']),
  );
  expect(JSON.stringify(document)).not.toContain('"onStep"');
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
});

test('a token is asked for everywhere but at the health checks', async () => {
  const guarded = createServer({ host: '0.0.0.0', token: 'a long secret', logLevel: 'silent' });
  const status = async (path: string, token?: string) =>
    (
      await guarded.fetch(
        new Request(`http://example.org${path}`, { headers: token ? { authorization: `Bearer ${token}` } : {} }),
      )
    ).status;
  for (const path of ['/v1/bundles', '/metrics', '/openapi.json']) {
    expect([path, await status(path)]).toEqual([path, 401]);
    expect([path, await status(path, 'a wrong secret')]).toEqual([path, 401]);
    expect([path, await status(path, 'a long secret')]).toEqual([path, 200]);
  }
  expect(await status('/healthz')).toBe(200);
  // Nothing is loaded yet.
  expect(await status('/readyz')).toBe(503);
  await guarded.close();
});

test('an address that others reach needs a token', () => {
  expect(() => createServer({ host: '0.0.0.0' })).toThrow(
    expect.objectContaining({ code: 'BAD_OPTION', message: expect.stringMatching(/options\.token: expected a token/) }),
  );
});

test('a stop lets the job that runs end, and refuses what waits', async () => {
  const stopping = createServer({ port: 0, logLevel: 'silent' });
  const place = await stopping.listen();
  const send = (body: unknown) =>
    fetch(`${place}/v1/images`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const answers = [send({ ...short, numInferenceSteps: 30 }), send(short)];
  while (!/jobs_running 1/.test(await (await fetch(`${place}/metrics`)).text()));
  while (!/queue_length 1/.test(await (await fetch(`${place}/metrics`)).text()));
  await stopping.close();
  expect((await answers[0]!).status).toBe(200);
  expect((await answers[1]!).status).toBe(503);
  await expect(fetch(`${place}/healthz`)).rejects.toThrow();
});

test('an address that is taken is said', async () => {
  const second = createServer({ port: Number(new URL(url).port), logLevel: 'silent' });
  await expect(second.listen()).rejects.toMatchObject({ code: 'BAD_OPTION', message: /EADDRINUSE/ });
  await second.close();
});

test('an analysis over HTTP gives what its function gives, to six digits', async () => {
  const options = { conditions: [{ classLabel: 'Sneaker' }], seed: 7, numInferenceSteps: 3, channels: [28, 37] };
  const response = await post('/v1/analysis/magnitude', { ...options, seeds: 2 });
  expect(response.status).toBe(200);
  const received = (await response.json()) as Wire;
  const pipeline = await loadPipeline('embedded');
  const direct = await traceMagnitude(pipeline, { ...options, seeds: 2 });
  await pipeline.dispose();
  expect(received.timesteps).toHaveLength(3);
  expect(received.layers[5].byChannel[1][0]).toBeCloseTo(direct.layers[5]!.byChannel[1]![0]!, 4);
  expect(received.layers.map(({ layer }: { layer: number }) => layer)).toEqual(direct.layers.map(({ layer }) => layer));
});

test('an analysis tells its steps to who asks for events, and its failure', async () => {
  const ask = async (body: object): Promise<{ event: string; data: Wire }[]> => {
    const response = await fetch(`${url}/v1/analysis/maps`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Accept: 'text/event-stream' },
      body: JSON.stringify(body),
    });
    const blocks = (await response.text()).split('\n\n').filter(Boolean);
    return blocks.map((block) => {
      const [, event, data] = /^event: (.*)\ndata: (.*)$/m.exec(block)!;
      return { event: event!, data: JSON.parse(data!) as Wire };
    });
  };
  const request = { channel: 28, conditions: { classLabel: 7 }, numInferenceSteps: 3, layers: [4] };
  const told = await ask(request);
  expect(told.slice(0, -1)).toEqual(
    [1, 2, 3].map((step) => ({ event: 'step', data: { trajectory: 1, step, steps: 3 } })),
  );
  const plain: unknown = await (await post('/v1/analysis/maps', request)).json();
  expect(told.at(-1)).toEqual({ event: 'done', data: plain });
  const failed = await ask({ ...request, channel: 28_000 });
  expect(failed.at(-1)).toMatchObject({ event: 'failed', data: { code: 'CHANNEL_OUT_OF_RANGE' } });
});

test('a channel over the picture comes by layer, timestep and token', async () => {
  const request = { channel: 28, conditions: { classLabel: 7 }, numInferenceSteps: 3, layers: [4, 5] };
  const { maps, tokenGrid, layers, timesteps } = (await (await post('/v1/analysis/maps', request)).json()) as Wire;
  expect([tokenGrid, layers, timesteps.length]).toEqual([[7, 7], [4, 5], 3]);
  expect(maps.map((bySteps: Wire) => bySteps.map((map: Wire) => map.length))).toEqual([
    [49, 49, 49],
    [49, 49, 49],
  ]);
});

test.each([
  ['maps', { channel: 28_000, conditions: { classLabel: 0 } }, 'CHANNEL_OUT_OF_RANGE'],
  ['maps', { chanel: 28 }, 'BAD_OPTION'],
  ['gates', { conditions: [{ prompt: 'a dog' }] }, 'BAD_OPTION'],
  ['magnitude', { numInferenceSteps: 61 }, 'BAD_OPTION'],
  ['magnitude', { seeds: 5 }, 'BAD_OPTION'],
  ['high-norm-tokens', { bundle: 'other' }, 'UNKNOWN_BUNDLE'],
])('a wrong request for %s is refused: %j', async (name, body, code) => {
  const response = await post(`/v1/analysis/${name}`, body);
  expect(response.status).toBe(code === 'UNKNOWN_BUNDLE' ? 404 : 400);
  expect(((await response.json()) as Wire).error.code).toBe(code);
});

test('the analyses are in the OpenAPI document, with their options', async () => {
  const { paths, components } = (await (await fetch(`${url}/openapi.json`)).json()) as Wire;
  expect(Object.keys(paths).filter((path) => path.startsWith('/v1/analysis/'))).toHaveLength(5);
  expect(components.schemas.MagnitudeRequest.properties).toMatchObject({ seeds: { maximum: 1000 }, bundle: {} });
});
