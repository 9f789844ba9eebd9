/** Clients that send too much, too slowly, nothing, or nonsense, and those that do not read. */
import { connect, type Socket } from 'node:net';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { createServer, type Server } from '../../../lib/server';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- what came over the wire
type Wire = any;

let server: Server;
let url: string;

beforeAll(async () => {
  server = createServer({ port: 0, logLevel: 'silent', maxBody: 100_000, clientSeconds: 2 });
  url = await server.listen();
});
afterAll(() => server.close());

const short = { classLabel: 'Sneaker', seed: 7, numInferenceSteps: 2 };

async function socket(): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const opened = connect(Number(port), hostname);
  opened.on('error', () => undefined);
  await new Promise((resolve) => opened.once('connect', resolve));
  return opened;
}

/** All that comes until the server closes the connection. */
function received(from: Socket): Promise<string> {
  const parts: Buffer[] = [];
  from.on('data', (part: Buffer) => parts.push(part));
  return new Promise((resolve) => from.once('close', () => resolve(Buffer.concat(parts).toString('latin1'))));
}

const head = (lines: string[]) =>
  [`POST /v1/images HTTP/1.1`, 'Host: 127.0.0.1', 'Content-Type: application/json', ...lines, '', ''].join('\r\n');

const post = (body: string | Buffer, headers: Record<string, string> = {}) =>
  fetch(`${url}/v1/images`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });

/** It still makes pictures. */
async function works(): Promise<void> {
  expect((await post(JSON.stringify(short))).status).toBe(200);
}

test('headers that do not end and a body that drips are cut off', async () => {
  const slowHead = await socket();
  slowHead.write('POST /v1/images HTTP/1.1\r\nHost: 127.0.0.1\r\n');
  const slowBody = await socket();
  slowBody.write(head(['Content-Length: 1000']));
  const drip = setInterval(() => slowBody.write(' '), 100);
  try {
    expect(await Promise.all([received(slowHead), received(slowBody)])).toEqual([
      expect.stringMatching(/^HTTP\/1.1 408 /),
      expect.stringMatching(/^HTTP\/1.1 408 |^$/),
    ]);
  } finally {
    clearInterval(drip);
  }
  await works();
}, 30_000);

test('a body that is larger than it said, or does not say, is refused at the limit', async () => {
  const chunked = await socket();
  const answer = received(chunked);
  chunked.write(head(['Transfer-Encoding: chunked', 'Connection: close']));
  const chunk = `2710\r\n${'x'.repeat(10_000)}\r\n`;
  for (let at = 0; at < 12; at++) chunked.write(chunk);
  expect(await answer).toMatch(/^HTTP\/1.1 413 [\s\S]*BODY_TOO_LARGE/);
  const both = await socket();
  const refused = received(both);
  both.write(`${head(['Content-Length: 4', 'Transfer-Encoding: chunked'])}0\r\n\r\n`);
  expect(await refused).toMatch(/^HTTP\/1.1 400 /);
  await works();
}, 30_000);

test.each([
  ['nothing', ''],
  ['null', 'null'],
  ['a list', '[]'],
  ['a number beyond all numbers', '{"seed":1e999}'],
  ['many brackets', '['.repeat(50_000)],
  ['many brackets in an option', `{"guidance":${'{"detail":'.repeat(9000)}1${'}'.repeat(9000)}}`],
  ['a prototype', '{"__proto__":{"classLabel":3},"constructor":{"prototype":{}}}'],
  ['half a letter', Buffer.from([0x7b, 0x22, 0xc3, 0x28, 0x22, 0x3a, 0x31, 0x7d])],
  ['a zero byte in a class', '{"classLabel":"\\u0000"}'],
  ['base64 that is none', '{"image":"data:image/png;base64,%%%"}'],
  ['a shape of too many values', '{"latents":{"dtype":"float32","shape":[4294967296,4294967296],"data":""}}'],
  ['a size beyond all sizes', '{"classLabel":0,"width":1e15,"height":1e15}'],
])('%s as a body is a 400 with a code', async (_, body) => {
  const response = await post(body);
  const { error } = (await response.json()) as Wire;
  expect([response.status, error.code]).toEqual([
    400,
    expect.stringMatching(/^(BAD_(REQUEST|OPTION|TENSOR)|CLASS_OUT_OF_RANGE)$/),
  ]);
  expect(error.message.length).toBeLessThan(2000);
});

test.each(['text/plain', 'application/jsonp', 'multipart/form-data; boundary=x', ''])(
  'Content-Type %p is refused, so that no form of another page can post',
  async (type) => {
    const response = await post(Buffer.from(JSON.stringify(short)), { 'content-type': type });
    expect(response.status).toBe(415);
  },
);

test.each([
  '/v1/jobs/..%2f..%2fetc%2fpasswd',
  '/v1/jobs/%00',
  '/v1/jobs/__proto__',
  '/v1/jobs/constructor/events',
  `/v1/jobs/${'a'.repeat(200)}`,
  '/v1/jobs/x/images/..%5c..%5c0',
  '/v1/jobs?state=failed&limit=1e9',
  '/v1/jobs?state=anything',
  '//v1/bundles/../../package.json',
  '/dist/index.js',
  '/%E0%A4%A',
])('%s leads nowhere', async (path) => {
  const response = await fetch(url + path);
  const { error } = (await response.json()) as Wire;
  expect([response.status, error.code]).toEqual([
    expect.any(Number),
    expect.stringMatching(/^(NOT_FOUND|UNKNOWN_JOB|BAD_OPTION)$/),
  ]);
  expect([400, 404]).toContain(response.status);
});

test.each(['-1', '1e400', 'NaN', 'x', '99999999999999999999'])('Last-Event-ID %p does no harm', async (last) => {
  const { id } = (await (
    await fetch(`${url}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(short),
    })
  ).json()) as Wire;
  const events = await fetch(`${url}/v1/jobs/${id}/events`, { headers: { 'last-event-id': last } });
  expect(events.status).toBe(200);
  await events.text();
});

test('a client that never reads its answers is cut off, and holds nobody up', async () => {
  const lazy = await socket();
  lazy.pause();
  // Large answers, of which it takes none: they fill the system's buffers, then the server's.
  const ask = 'GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
  for (let at = 0; at < 400; at++) lazy.write(ask);
  await works();
  // Longer than the server waits; who reads now finds what the system had taken, and then the end.
  await new Promise((resolve) => setTimeout(resolve, 6000));
  const answered = received(lazy);
  lazy.resume();
  const answers = await answered;
  expect(answers.split('HTTP/1.1 200').length).toBeLessThan(300);
  await works();
}, 60_000);

test('many events for one who never reads cost one event of each kind', async () => {
  const lazy = await socket();
  lazy.pause();
  const { id } = (await (
    await fetch(`${url}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...short, numInferenceSteps: 100, preview: true }),
    })
  ).json()) as Wire;
  lazy.write(`GET /v1/jobs/${id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
  for (;;) {
    const { state } = (await (await fetch(`${url}/v1/jobs/${id}`)).json()) as Wire;
    if (state === 'done') break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  lazy.destroy();
}, 60_000);

test('two requests in one packet are both answered, in their order', async () => {
  const opened = await socket();
  const answers = received(opened);
  opened.write(
    'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n',
  );
  expect(await answers).toMatch(/alive[\s\S]*ready/);
});

test('no origin is let in unless it is named', async () => {
  const asked = { headers: { origin: 'http://localhost:1', 'access-control-request-method': 'POST' } };
  const silent = await fetch(`${url}/v1/bundles`, asked);
  expect(silent.headers.get('access-control-allow-origin')).toBeNull();
  const named = createServer({ logLevel: 'silent', token: 'a long secret', origins: ['https://app.example'] });
  const preflight = async (origin: string) => {
    const request = new Request('http://localhost/v1/images', {
      method: 'OPTIONS',
      headers: { ...asked.headers, origin },
    });
    return (await named.fetch(request)).headers.get('access-control-allow-origin');
  };
  expect(await preflight('https://app.example')).toBe('https://app.example');
  expect(await preflight('https://other.example')).toBeNull();
  // Its pages may read what a refusal and a picture say beside their body.
  const refusal = await named.fetch(
    new Request('http://localhost/v1/bundles', { headers: { origin: 'https://app.example' } }),
  );
  expect([refusal.status, refusal.headers.get('access-control-allow-origin')]).toEqual([401, 'https://app.example']);
  // What OpenAI's client adds in a browser.
  const asks = { origin: 'https://app.example', 'access-control-request-headers': 'authorization,x-stainless-lang' };
  const own = new Request('http://localhost/v1/images/generations', {
    method: 'OPTIONS',
    headers: { ...asks, 'access-control-request-method': 'POST' },
  });
  expect((await named.fetch(own)).headers.get('access-control-allow-headers')).toMatch(/x-stainless-lang/);
  expect(refusal.headers.get('access-control-expose-headers')).toMatch(/Retry-After.*X-Seed/);
  await named.close();
});

test('a token of any other length or case is refused', async () => {
  const guarded = createServer({ logLevel: 'silent', token: 'a long secret' });
  const status = async (authorization: string) =>
    (await guarded.fetch(new Request('http://localhost/v1/bundles', { headers: { authorization } }))).status;
  for (const wrong of ['a', 'a long secre', 'a long secret2', 'A long secret', 'x'.repeat(8000)]) {
    expect([wrong, await status(`Bearer ${wrong}`)]).toEqual([wrong, 401]);
  }
  expect(await status('Basic YSBsb25nIHNlY3JldA==')).toBe(401);
  expect(await status('bearer a long secret')).toBe(200);
  await guarded.close();
});

test('jobs that have ended are forgotten by bytes, the oldest first', async () => {
  const small = createServer({ port: 0, logLevel: 'silent', keepBytes: 1 });
  const place = await small.listen();
  const ids: string[] = [];
  for (let at = 0; at < 3; at++) {
    const accepted = await fetch(`${place}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(short),
    });
    ids.push(((await accepted.json()) as Wire).id);
    await (await fetch(`${place}/v1/jobs/${ids.at(-1)}/events`)).text();
  }
  const status = async (id: string) => (await fetch(`${place}/v1/jobs/${id}`)).status;
  expect([await status(ids[0]!), await status(ids[1]!), await status(ids[2]!)]).toEqual([404, 404, 200]);
  const { jobs } = (await (await fetch(`${place}/v1/jobs?state=done`)).json()) as Wire;
  expect(jobs.map(({ id }: { id: string }) => id)).toEqual([ids[2]]);
  await small.close();
});

test.each([
  'https://app.example/',
  'https://APP.example',
  'https://app.example/page',
  'app.example',
  'sd35',
  'null',
  'https://',
])('%j is no origin, which would let nobody in', (origin) => {
  expect(() => createServer({ origins: [origin] })).toThrow(
    expect.objectContaining({
      code: 'BAD_OPTION',
      message: expect.stringMatching(/options\.origins.*an origin such as/),
    }),
  );
});

test.each(['*', 'http://localhost:5173', 'https://app.example', 'tauri://localhost', 'chrome-extension://abcdef'])(
  '%j is an origin',
  (origin) => {
    expect(() => createServer({ origins: [origin] })).not.toThrow();
  },
);
