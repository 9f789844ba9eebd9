/** Requests that a server must not take, or not as they are: each has a clear answer, at once, and leaves nothing. */
import { connect } from 'node:net';

import { afterAll, afterEach, beforeAll, expect, jest, test } from '@jest/globals';

import { createServer, type Server } from '../../../lib/server';
import { Job } from '../../../lib/server/job';
import { forgetOld } from '../../../lib/server/keeping';
import { imageRequestSchema } from '../../../lib/server/request';
import { closeStalled } from '../../../lib/server/stalled';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- what came over the wire
type Wire = any;

let server: Server;
let url: string;

beforeAll(async () => {
  server = createServer({ port: 0, logLevel: 'silent', maxQueue: 2 });
  url = await server.listen();
});
afterAll(() => server.close());
afterEach(() => void jest.restoreAllMocks());

const short = { classLabel: 'Sneaker', seed: 7, numInferenceSteps: 2 };
const json = { 'content-type': 'application/json' };

async function post(path: string, body: unknown, headers: Record<string, string> = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(url + path, { method: 'POST', headers: { ...json, ...headers }, body: text });
  const answer = response.headers.get('content-type')?.startsWith('application/json')
    ? ((await response.json()) as Wire)
    : await response.arrayBuffer();
  return { status: response.status, error: answer.error, answer, headers: response.headers };
}

const many = (length: number, value: string) => `[${Array.from({ length }, () => value).join(',')}]`;

test.each([
  ['small values', `{"classLabel":0,"guidance":{"detail":${many(200_000, '{}')}}}`],
  ['a long prompt', JSON.stringify({ prompt: 'a '.repeat(200_000) })],
  ['long prompts', JSON.stringify({ prompt: Array.from({ length: 30 }, () => 'é'.repeat(9000)) })],
  ['quotes in a long text', JSON.stringify({ prompt: '\\"'.repeat(150_000) })],
  ['keys', `{${Array.from({ length: 40_000 }, (_, at) => `"k${at}":0`).join(',')}}`],
  [
    'a text that is called data and is no base64',
    JSON.stringify({ conditioning: { x: { data: '%'.repeat(300_000) } } }),
  ],
])('%s: more than a request can need is refused by its size, before it is worked on', async (_, body) => {
  const { status, error } = await post('/v1/images', body);
  expect([status, error.code]).toEqual([413, 'BODY_TOO_LARGE']);
  expect(error.message).toMatch(/at most 262144 bytes beside pictures and tensors/);
});

test('what is wrong is quoted in a few words, however long it is', async () => {
  const key = 'k'.repeat(50_000);
  for (const body of [
    { [key]: 1 },
    { seed: Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [`key${at}`, at])) },
    { conditioning: { [key]: { dtype: 'float32', shape: [1], data: 3 } } },
    { bundle: key },
  ]) {
    const { status, error } = await post('/v1/images', body);
    expect([400, 404]).toContain(status);
    expect(error.message.length).toBeLessThan(1000);
  }
});

test('a body that is compressed is 415', async () => {
  const { status, error } = await post('/v1/images', short, { 'content-encoding': 'gzip' });
  expect([status, error.code]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
  expect((await post('/v1/images', short, { 'content-encoding': 'identity' })).status).toBe(200);
});

test('several pictures as one PNG are refused before they are made', async () => {
  const before = (await (await fetch(`${url}/metrics`)).text()).match(/picture_seconds_count\S* (\d+)/)?.[1];
  const { status, error } = await post(
    '/v1/images',
    { ...short, classLabel: ['Coat', 'Bag'] },
    { accept: 'image/png' },
  );
  expect([status, error.code]).toEqual([400, 'BAD_REQUEST']);
  expect((await (await fetch(`${url}/metrics`)).text()).match(/picture_seconds_count\S* (\d+)/)?.[1]).toBe(before);
});

test.each([
  ['PUT', '/v1/images', 405, 'POST'],
  ['GET', '/v1/analysis/maps', 405, 'POST'],
  ['POST', '/v1/jobs/any', 405, 'DELETE, GET, HEAD'],
  ['DELETE', '/openapi.json', 405, 'GET, HEAD'],
  ['OPTIONS', '/v1/jobs', 204, 'GET, HEAD, POST'],
  ['OPTIONS', '/nothing', 404, null],
  ['GET', '/openapi_json', 404, null],
])('%s %s is %p and allows %p', async (method, path, status, allow) => {
  const response = await fetch(url + path, { method });
  expect([response.status, response.headers.get('allow')]).toEqual([status, allow]);
  if (status === 405) expect(((await response.json()) as Wire).error.code).toBe('METHOD_NOT_ALLOWED');
});

test('a form of the answer that there is not is 406 before it is made, and of two the one with more quality comes', async () => {
  const { status, error } = await post('/v1/images', short, { accept: 'image/webp' });
  expect([status, error.code]).toEqual([406, 'NOT_ACCEPTABLE']);
  expect(error.message).toMatch(/^Accept: expected one of application\/json, image\/png.*received 'image\/webp'/);
  const { headers } = await post('/v1/images', short, { accept: 'application/json, image/png;q=0.5' });
  expect(headers.get('content-type')).toBe('application/json');
});

test.each([
  ['the last one that JSON has', { seed: 2 ** 53 - 1 }, 200],
  ['one that leads beyond it', { seed: 2 ** 53 - 1, numImages: 2 }, 400],
  ['2 to the 31st', { seed: 2 ** 31, numImages: 2 }, 200],
  ['2 to the 64th', '{"classLabel":0,"seed":18446744073709551616}', 400],
  ['beyond all numbers', '{"classLabel":0,"seed":1e999}', 400],
  ['a text', { seed: '7' }, 400],
  ['less than nothing', { seed: -1 }, 400],
  ['nothing, of two zeros', '{"classLabel":0,"numInferenceSteps":2,"seed":-0}', 200],
])('a seed, %s: %j is %p', async (_, body, expected) => {
  const request = typeof body === 'string' ? body : { ...short, ...(body as object) };
  const { status, error, answer } = await post('/v1/images', request);
  expect(status).toBe(expected);
  if (expected === 200) expect(Number.isSafeInteger(answer.images[0].seed)).toBe(true);
  else expect([error.code, error.message]).toEqual(['BAD_OPTION', expect.stringMatching(/seed/)]);
});

test('more branches or edits than a plan needs are refused before it is made', async () => {
  const entries = Array.from({ length: 65 }, () => ({ scale: 0.1 }));
  const edit = { layer: 1, operation: 'zero', channels: [1] };
  for (const guidance of [
    { detail: entries },
    { branches: Array.from({ length: 65 }, () => ({ weight: 1 })) },
    { branches: [{ weight: 1, edits: Array.from({ length: 65 }, () => edit) }] },
  ]) {
    const { status, error } = await post('/v1/plan', { ...short, guidance });
    expect([status, error.code, error.message]).toEqual([400, 'BAD_OPTION', expect.stringMatching(/guidance/)]);
  }
  expect((await post('/v1/plan', { ...short, guidance: { detail: entries.slice(1) } })).status).toBe(200);
});

/** What comes for these lines until the connection is closed. */
function sendRaw(lines: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname, () => socket.write(lines));
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('close', () => resolve(Buffer.concat(parts).toString('latin1')));
  });
}

test.each([
  ['a host that is none', 'GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n', 400],
  ['an address that is none', 'OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n', 400],
  ['an unknown method', 'FOO / HTTP/1.1\r\nHost: localhost\r\n\r\n', 400],
  ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
  ['two lengths', 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
  ['a header without end', `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
])('%s is no request, and that is said as everything else is', async (_, lines, status) => {
  const [head, body] = (await sendRaw(lines)).split('\r\n\r\n') as [string, string];
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(JSON.parse(body)).toMatchObject({ error: { code: 'BAD_REQUEST', type: 'invalid_request_error' } });
});

test('a client that leaves in the middle of its body is no failure of the server', async () => {
  const named = createServer({ token: 'a long secret', logLevel: 'silent' });
  const gone = Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
  const body = new ReadableStream({ pull: (controller) => controller.error(gone) });
  const headers = { ...json, authorization: 'Bearer a long secret' };
  const request = new Request('http://localhost/v1/plan', {
    method: 'POST',
    headers,
    body,
    duplex: 'half',
  } as RequestInit);
  const response = await named.fetch(request);
  expect([response.status, ((await response.json()) as Wire).error.code]).toEqual([400, 'BAD_REQUEST']);
  await named.close();
});

test('HEAD for the events of a job is answered, and nobody follows it', async () => {
  const { answer } = await post('/v1/jobs', { ...short, numInferenceSteps: 100 });
  const followed = jest.spyOn(Job.prototype, 'events');
  const head = await fetch(url + (answer.events as string), { method: 'HEAD' });
  expect([head.status, head.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
  expect(followed).not.toHaveBeenCalled();
  await fetch(`${url}/v1/jobs/${answer.id}`, { method: 'DELETE' });
});

test('analyses that wait are as many as jobs may be', async () => {
  const request = { conditions: [{ classLabel: 0 }], numInferenceSteps: 20, channels: [28] };
  const answers = await Promise.all(Array.from({ length: 4 }, () => post('/v1/analysis/magnitude', request)));
  const refused = answers.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThanOrEqual(1);
  expect(answers.length - refused.length).toBeGreaterThanOrEqual(2);
  expect([refused[0]!.error.code, refused[0]!.headers.get('retry-after')]).toEqual(['QUEUE_FULL', '5']);
  expect((await post('/v1/analysis/magnitude', request)).status).toBe(200);
});

test.each([
  ['n', 0],
  ['n', -1],
  ['n', 2.5],
  ['n', '2'],
  ['n', 1e9],
  ['size', '0x0'],
  ['size', '512'],
  ['size', '99999x99999'],
  ['size', '28x28; drop'],
  ['size', 28],
  ['stream', true],
  ['output_format', 'webp'],
  ['response_format', 'url'],
  ['prompt', ['Coat']],
  ['prompt', ''],
])("OpenAI's request with %s %j is a 400 that names it", async (name, value) => {
  const { status, error } = await post('/v1/images/generations', { prompt: 'Coat', [name]: value });
  expect([status, error.code, error.type]).toEqual([400, 'BAD_OPTION', 'invalid_request_error']);
  expect(error.message).toMatch(/n: |numImages|size|width|height|stream|format|prompt/);
});

test('jobs that have ended take no more memory than they may, also without pictures', () => {
  const jobs = new Map<string, Job>();
  for (let at = 0; at < 200; at++) {
    const job = new Job('embedded', imageRequestSchema.parse({ prompt: 'x'.repeat(1000) }));
    job.endCancelled();
    expect(job.request.prompt).toBeUndefined();
    jobs.set(job.id, job);
  }
  forgetOld(jobs, { keepSeconds: 600, keepBytes: 2 ** 20 });
  expect(jobs.size).toBe(16);
});

test('a connection is closed for what its client has not taken, not for a clock that jumps', () => {
  jest.useFakeTimers();
  try {
    let onConnection: (socket: object) => void = () => undefined;
    closeStalled({ on: (_: string, listener: typeof onConnection) => (onConnection = listener) } as never, 4000);
    const listeners: Record<string, () => void> = {};
    const socket = {
      writableNeedDrain: true,
      destroy: jest.fn(),
      on: (name: string, listener: () => void) => (listeners[name] = listener),
      once: (name: string, listener: () => void) => (listeners[name] = listener),
    };
    onConnection(socket);
    jest.advanceTimersByTime(1000);
    jest.setSystemTime(Date.now() + 3_600_000);
    jest.advanceTimersByTime(2000);
    listeners['drain']!();
    jest.advanceTimersByTime(4000);
    expect(socket.destroy).not.toHaveBeenCalled();
    jest.advanceTimersByTime(1000);
    expect(socket.destroy).toHaveBeenCalled();
    listeners['close']!();
    expect(jest.getTimerCount()).toBe(0);
  } finally {
    jest.useRealTimers();
  }
});

test('a connection may wait for its next request longer than a proxy keeps it', async () => {
  const { headers } = await fetch(`${url}/healthz`);
  expect(headers.get('keep-alive')).toBe('timeout=75');
});
