/** Servers that are started and stopped at any time. */
import { Server as HttpServer } from 'node:http';

import { expect, jest, test } from '@jest/globals';

import { createServer } from '../../../lib/server';

const settings = { port: 0, logLevel: 'silent' } as const;
const closed = expect.objectContaining({ code: 'DISPOSED' });

test('to listen again is to get the same address', async () => {
  const server = createServer(settings);
  const [first, second] = await Promise.all([server.listen(), server.listen()]);
  expect([second, await server.listen()]).toEqual([first, first]);
  await server.close();
  await expect(fetch(`${first}/healthz`)).rejects.toThrow();
});

test('a server that is closed while it loads does not listen, and never does again', async () => {
  const server = createServer(settings);
  const listening = expect(server.listen()).rejects.toEqual(closed);
  await server.close();
  await listening;
  await expect(server.listen()).rejects.toEqual(closed);
  await expect(server.load()).rejects.toEqual(closed);
  const response = await server.fetch(new Request('http://localhost/readyz'));
  expect(response.status).toBe(503);
});

test.each(['', 'short', ' a secret', 'a secret ', 'ein schönes Wort', 'a secret\n', 'パスワードパスワード'])(
  'a token that clients cannot send, %j, is refused',
  (token) => {
    expect(() => createServer({ ...settings, token })).toThrow(
      expect.objectContaining({
        code: 'BAD_OPTION',
        message: expect.stringMatching(/options\.token: expected .*ASCII/),
      }),
    );
  },
);

test('a token that is refused is not shown', () => {
  expect(() => createServer({ ...settings, token: 'geheim' })).toThrow(/received one of 6 characters/);
});

test('a place for results without a Redis is refused, as nothing would be put there', () => {
  expect(() => createServer({ ...settings, results: '/tmp' })).toThrow(
    expect.objectContaining({
      code: 'BAD_OPTION',
      message: expect.stringMatching(/options\.redis: expected.*results/),
    }),
  );
});

test('an address may stand in brackets, as it does in a URL', async () => {
  const server = createServer({ ...settings, host: '[::1]' });
  const url = await server.listen();
  expect(url).toMatch(/^http:\/\/\[::1\]:\d+$/);
  expect((await fetch(`${url}/v1/bundles`)).status).toBe(200);
  await server.close();
});

test('a server that is not ready says why', async () => {
  const server = createServer(settings);
  const ask = async () => (await server.fetch(new Request('http://localhost/readyz'))).json();
  expect(await ask()).toEqual({ status: 'not ready', reason: 'The first bundle is not loaded yet.' });
  await server.load();
  expect(await ask()).toEqual({ status: 'ready' });
  await server.close();
  expect(await ask()).toEqual({ status: 'not ready', reason: 'The server is about to stop.' });
});

test('a client that keeps its connection is not waited for, and is not cut off', async () => {
  const cutOff = jest.spyOn(HttpServer.prototype, 'closeAllConnections');
  const server = createServer(settings);
  const url = await server.listen();
  const body = JSON.stringify({ classLabel: 'Coat', numInferenceSteps: 2 });
  // It has all of the answer before the server has done with it, and keeps the connection for the next one.
  await (
    await fetch(`${url}/v1/images`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  ).text();
  await server.close();
  expect(cutOff).not.toHaveBeenCalled();
  cutOff.mockRestore();
});
