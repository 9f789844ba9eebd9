/** What a server that stops does with the jobs that run, and with the connections that are open. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { expect, test } from '@jest/globals';

import { createServer as createPictureServer } from '../../../lib/server';
import type { Job } from '../../../lib/server/job';
import { LocalDispatcher } from '../../../lib/server/localDispatcher';
import { imageRequestSchema } from '../../../lib/server/request';
import { Sockets } from '../../../lib/server/sockets';

const dispatcherOf = (make: (job: Job) => Promise<void>) =>
  new LocalDispatcher({
    maxQueue: 4,
    batch: 1,
    keepSeconds: 60,
    keepBytes: 2 ** 20,
    run: async ([job], onSampled) => {
      await make(job!);
      await onSampled();
      if (job!.signal.aborted) job!.endCancelled();
      else job!.finish({ images: [], plan: {} as never, evaluations: 0, seconds: 0 });
    },
  });

const request = imageRequestSchema.parse({});

test('a job that does not end within the grace is no fault of its client', async () => {
  const dispatcher = dispatcherOf(({ signal }) => once(signal, 'abort').then(() => undefined));
  const job = await dispatcher.submit('embedded', request);
  await dispatcher.close(0);
  expect(job.problem).toMatchObject({ code: 'SHUTTING_DOWN', type: 'server_error' });
});

test('a grace without end lets the job end', async () => {
  const dispatcher = dispatcherOf(() => sleep(50));
  const job = await dispatcher.submit('embedded', request);
  await dispatcher.close(Infinity);
  expect(job.state).toBe('done');
});

test('who waits for a picture that the grace is too short for hears that it may try again', async () => {
  const server = createPictureServer({ port: 0, logLevel: 'silent' });
  const url = await server.listen();
  const init = { method: 'POST', headers: { 'content-type': 'application/json' } };
  const body = JSON.stringify({ classLabel: 'Coat', numInferenceSteps: 250, numImages: 16 });
  const answer = fetch(`${url}/v1/images`, { ...init, body });
  while (!/jobs_running 1/.test(await (await fetch(`${url}/metrics`)).text()));
  await server.close(0);
  const response = await answer;
  expect([response.status, ((await response.json()) as { error: { code: string } }).error.code]).toEqual([
    503,
    'SHUTTING_DOWN',
  ]);
}, 60_000);

test('of the connections of a server that stops, one that still takes its answer stays, and one that waits for more does not', async () => {
  const answers: ServerResponse[] = [];
  const http = createServer((_, response) => void answers.push(response));
  const sockets = new Sockets(http);
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const clients = [0, 1].map(() => connect((http.address() as AddressInfo).port, '127.0.0.1'));
  const [slow, waiting] = clients as [(typeof clients)[0], (typeof clients)[0]];
  for (const [at, client] of clients.entries()) {
    client.pause().write('GET / HTTP/1.1\r\nHost: here\r\n\r\n');
    while (answers.length <= at) await sleep(1);
  }
  // More than the buffers of both sides take.
  const size = 2 ** 26;
  answers[0]!.end(Buffer.alloc(size));
  answers[1]!.write('the beginning');
  for (let looks = 0; looks < 3; looks++) {
    await sleep(20);
    sockets.closeQuiet();
  }
  await once(waiting.resume(), 'close');
  let received = 0;
  slow.on('data', (chunk) => (received += chunk.length)).resume();
  while (received < size) await sleep(1);
  slow.destroy();
  http.close();
}, 30_000);
