/** Servers, workers and a Redis of other versions than this one. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer as createSocket, type AddressInfo } from 'node:net';

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Queue } from 'bullmq';

import { openBundle } from '../../../lib/bundle';
import { version } from '../../../lib/files/version';
import { createServer, createWorker } from '../../../lib/server';
import { bundleChecksum, queueName } from '../../../lib/server/remote/protocol';

import { Machines, short, until, withRedis, type Wire } from './machines';

withRedis('other versions', () => {
  let machines: Machines;
  beforeAll(async () => {
    machines = await Machines.prepare();
    machines.startRedis();
    await machines.startServer();
    await machines.startWorker();
  }, 120_000);
  afterAll(() => machines.close());

  test('what a newer server asks for and this worker does not know is no fault of the client, and another may try', async () => {
    const checksum = bundleChecksum(await openBundle('embedded'));
    const queue = new Queue(queueName(checksum), { connection: { port: machines.port } });
    const put = async (data: object) => {
      const jobId = randomUUID();
      await queue.add(
        'images',
        { bundle: 'embedded', checksum, ...data },
        { jobId, attempts: 2, backoff: { type: 'pause' } },
      );
      return jobId;
    };
    const newer = await put({ version: '99.0.0', request: { ...short, novelty: 1 } });
    const { state, error } = await machines.ended(newer);
    expect([state, error.code, error.type]).toEqual(['failed', 'WORKER_MISMATCH', 'server_error']);
    expect(error.message).toMatch(`The server's version is 99.0.0, this worker's ${version()}, and it does not know`);
    expect((await queue.getJob(newer))!.attemptsMade).toBe(2);
    // An older one told no version; what stands beside the request is nobody's business.
    const older = await put({ request: short, novelty: 1 });
    expect(await machines.ended(older)).toMatchObject({ state: 'done' });
    // A job that says nothing spoils no list of the others.
    const { id } = await queue.add('images', null as never, { jobId: randomUUID() });
    expect(await machines.ended(id!)).toMatchObject({ state: 'failed', error: { code: 'WORKER_MISMATCH' } });
    const { jobs } = await machines.get('/v1/jobs?state=failed');
    expect((jobs as Wire[]).map((job) => job.id).sort()).toEqual([newer, id].sort());
    await queue.close();
  }, 120_000);

  test('workers say their version', async () => {
    expect((await machines.get('/v1/bundles')).workers).toMatchObject([{ version: version() }]);
  });

  test('a Redis that is too old is named, by the server and by the worker', async () => {
    const older = createSocket((from) => {
      const to = connect(machines.port, '127.0.0.1');
      const close = () => [from, to].forEach((end) => end.destroy());
      for (const end of [from, to]) end.on('error', close).on('close', close);
      from.pipe(to);
      to.on('data', (part: Buffer) => {
        from.write(part.toString('latin1').replace(/redis_version:\d/, 'redis_version:4'), 'latin1');
      });
    }).listen(0, '127.0.0.1');
    await once(older, 'listening');
    const redis = `redis://127.0.0.1:${(older.address() as AddressInfo).port}`;
    const settings = { redis, results: machines.results, logLevel: 'silent' as const };
    const worker = createWorker(settings);
    await expect(worker.start()).rejects.toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringMatching(/^redis: expected a Redis that BullMQ works with.*5\.0\.0.*4\./),
    });
    await worker.close();
    const server = createServer({ ...settings, port: 0 });
    const place = await server.listen();
    await until(async () =>
      /its version is 4\S*, at least 5\.0\.0 is needed/.test(await (await fetch(`${place}/readyz`)).text()),
    );
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(short) };
    expect(await (await fetch(`${place}/v1/jobs`, init)).json()).toMatchObject({
      error: { code: 'QUEUE_UNAVAILABLE', message: expect.stringMatching(/its version is 4/) },
    });
    await server.close();
    older.close();
  }, 120_000);
});
