/** Clients of other makers: curl, EventSource, an agent that keeps connections, HTTP/1.0, Prometheus, an OpenAPI validator. */
import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { connect, createServer as createSocket, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { EventSource } from 'eventsource';

import { packageRoot } from '../../../lib/files/packageRoot';
import { decodePng } from '../../../lib/image/png';
import { createServer, type Server } from '../../../lib/server';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- what came over the wire
type Wire = any;

const token = 'a token of the test';
let server: Server;
let url: string;

beforeAll(async () => {
  server = createServer({ port: 0, token, logLevel: 'silent' });
  url = await server.listen();
});
afterAll(() => server.close());

const short = { classLabel: 'Sneaker', seed: 7, numInferenceSteps: 3 };
const authorization = `Bearer ${token}`;
const headers = { authorization, 'content-type': 'application/json' };

const submit = async (body: unknown): Promise<Wire> =>
  (await fetch(`${url}/v1/jobs`, { method: 'POST', headers, body: JSON.stringify(body) })).json();

const hasCurl = spawnSync('curl', ['--version']).status === 0;
if (!hasCurl) console.warn('curl is not installed: its test is skipped');

(hasCurl ? test : test.skip)('curl saves a picture', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'detail-guidance-curl-'));
  try {
    const file = join(folder, 'sneaker.png');
    const args = ['-sS', '--fail', `${url}/v1/images`, '-H', `Authorization: ${authorization}`];
    args.push(
      '-H',
      'Content-Type: application/json',
      '-H',
      'Accept: image/png',
      '-d',
      JSON.stringify(short),
      '-o',
      file,
    );
    await promisify(execFile)('curl', args);
    expect(decodePng(readFileSync(file))).toMatchObject({ width: 28, height: 28 });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('an EventSource follows a job, and does not lose its place when the connection breaks', async () => {
  const { hostname, port } = new URL(url);
  const connections = new Set<Socket>();
  const breaking = createSocket((from) => {
    const to = connect(Number(port), hostname);
    for (const end of [from, to]) end.on('error', () => undefined);
    connections.add(from);
    from.pipe(to).pipe(from);
    from.once('close', () => to.destroy());
  }).listen(0, '127.0.0.1');
  await once(breaking, 'listening');
  const { id } = await submit({ ...short, numInferenceSteps: 200, numImages: 2 });
  const lastIds: (string | null)[] = [];
  const source = new EventSource(`http://127.0.0.1:${(breaking.address() as AddressInfo).port}/v1/jobs/${id}/events`, {
    fetch: (address, init) => {
      const sent = new Headers({ ...(init.headers as Record<string, string>), authorization });
      lastIds.push(sent.get('last-event-id'));
      return fetch(address, { ...init, headers: sent });
    },
  });
  const steps: number[] = [];
  await new Promise<void>((resolve) => {
    source.addEventListener('step', ({ data }) => {
      steps.push((JSON.parse(data as string) as Wire).step);
      if (steps.length === 1) for (const connection of connections) connection.destroy();
    });
    source.addEventListener('done', () => resolve());
  });
  source.close();
  for (const connection of connections) connection.destroy();
  breaking.close();
  expect(lastIds.length).toBe(2);
  expect(Number(lastIds[1])).toBeGreaterThan(0);
  expect(steps.length).toBeGreaterThanOrEqual(2);
}, 60_000);

test('an agent that keeps its connections reuses one, also after a request that was aborted', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ports = new Set<number>();
  const ask = (body: unknown, abortAfter?: number) =>
    new Promise<number>((resolve, reject) => {
      const { hostname, port } = new URL(url);
      const sent = httpRequest({ hostname, port, path: '/v1/images', method: 'POST', headers, agent }, (response) => {
        response.resume();
        response.once('end', () => resolve(response.statusCode!));
      });
      sent.once('socket', (socket) => {
        const note = () => ports.add(socket.localPort!);
        if (socket.connecting) socket.once('connect', note);
        else note();
      });
      sent.once('error', reject);
      sent.end(JSON.stringify(body));
      if (abortAfter !== undefined) setTimeout(() => sent.destroy(new Error('aborted')), abortAfter);
    });
  expect(await ask(short)).toBe(200);
  expect(await ask(short)).toBe(200);
  expect(ports.size).toBe(1);
  await expect(ask({ ...short, numInferenceSteps: 200, numImages: 4 }, 100)).rejects.toThrow('aborted');
  expect(await ask(short)).toBe(200);
  agent.destroy();
}, 60_000);

test.each(['', 'Host: example.org\r\n'])('HTTP/1.0 with %j gets a whole answer and its end', async (host) => {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const body = JSON.stringify(short);
  socket.write(
    `POST /v1/images HTTP/1.0\r\n${host}Authorization: ${authorization}\r\nContent-Type: application/json\r\n` +
      `Accept: image/png\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await closed;
  const answer = Buffer.concat(parts);
  const end = answer.indexOf('\r\n\r\n');
  const head = answer.subarray(0, end).toString('latin1');
  expect(head).toMatch(/^HTTP\/1\.1 200 /);
  expect(head).not.toMatch(/transfer-encoding/i);
  expect(decodePng(answer.subarray(end + 4))).toMatchObject({ width: 28 });
});

/** In a process of its own: the validator is ESM only, with its data beside it. */
async function validation(document: unknown): Promise<unknown> {
  const program = `import { Validator } from '@seriousme/openapi-schema-validator';
    let text = '';
    for await (const part of process.stdin) text += part;
    console.log(JSON.stringify(await new Validator().validate(JSON.parse(text))));`;
  const child = promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { cwd: packageRoot() });
  child.child.stdin!.end(JSON.stringify(document));
  return JSON.parse((await child).stdout);
}

test('the OpenAPI document is valid, and says every route that there is', async () => {
  const document = (await (await fetch(`${url}/openapi.json`, { headers })).json()) as Wire;
  expect(await validation(document)).toMatchObject({ valid: true });
  expect(await validation({ ...document, info: {} })).toMatchObject({ valid: false });
  const said = Object.entries<object>(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations)
      .filter((method) => method !== 'parameters')
      .map((method) => `${method} ${path}`),
  );
  for (const [method, path] of said.map((each) => each.split(' '))) {
    const address = url + path!.replace('{id}', 'x').replace('{index}', '0');
    const { status } = await fetch(address, { method: method!.toUpperCase(), headers: { authorization } });
    // Found, whatever else is wrong with it: no NOT_FOUND.
    expect([method, path, status]).toEqual([method, path, expect.any(Number)]);
    if (status === 404) expect(path).toMatch(/\{id\}/);
  }
  expect(said).toEqual(expect.arrayContaining(['get /v1/jobs', 'post /v1/images', 'delete /v1/jobs/{id}']));
});

test('Prometheus can read the metrics', async () => {
  const parse = (await import('parse-prometheus-text-format' as string)) as Wire;
  const response = await fetch(`${url}/metrics`, { headers });
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  const families = (parse.default ?? parse)(await response.text()) as Wire[];
  const names = families.map(({ name }) => name);
  expect(names).toEqual(
    expect.arrayContaining([
      'detail_guidance_queue_length',
      'detail_guidance_picture_seconds',
      'detail_guidance_step_seconds',
      'detail_guidance_device_allocated_bytes',
      'detail_guidance_http_requests_total',
    ]),
  );
  const picture = families.find(({ name }) => name === 'detail_guidance_picture_seconds');
  expect(picture).toMatchObject({ type: 'HISTOGRAM' });
  expect(Number(picture.metrics[0].buckets['+Inf'])).toBeGreaterThan(0);
});
