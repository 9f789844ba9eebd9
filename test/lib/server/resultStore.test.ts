/** Where workers put pictures: a folder, and an S3-compatible store that runs here. */
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, test } from '@jest/globals';

import { openResultStore } from '../../../lib/server/remote/resultStore';

const folder = mkdtempSync(join(tmpdir(), 'detail-guidance-store-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const png = Uint8Array.of(137, 80, 78, 71, 1, 2, 3);
const newKey = () => `${randomUUID()}-0.png`;

test('a folder gives back what was put there, and nothing else', async () => {
  const place = join(folder, 'results');
  mkdirSync(place);
  const store = await openResultStore(place);
  await store.check();
  const key = newKey();
  await store.put(key, png);
  expect([...(await store.get(key))!]).toEqual([...png]);
  expect(await store.get(newKey())).toBeNull();
  expect(await store.get('../../etc/passwd')).toBeNull();
  expect(readdirSync(place)).toEqual([key]);
  utimesSync(join(place, key), 1, 1);
  await store.removeOlderThan(60);
  expect(readdirSync(place)).toEqual([]);
});

test('a folder that is not there is said before any work', async () => {
  const store = await openResultStore(join(folder, 'missing', 'results'));
  await expect(store.check()).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
});

test('an S3-compatible store gives back what was put there; one that refuses is said', async () => {
  // CommonJS without types; only this test needs it.
  const S3rver = createRequire(__filename)('s3rver') as new (options: object) => {
    run(): Promise<AddressInfo>;
    close(): Promise<void>;
  };
  const server = new S3rver({
    port: 0,
    silent: true,
    directory: join(folder, 's3'),
    configureBuckets: [{ name: 'pictures', configs: [] }],
  });
  const { port } = await server.run();
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${port}`,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'S3RVER',
    AWS_SECRET_ACCESS_KEY: 'S3RVER',
  });
  try {
    const store = await openResultStore('s3://pictures/made/here');
    await store.check();
    const key = newKey();
    await store.put(key, png);
    expect([...(await store.get(key))!]).toEqual([...png]);
    expect(await store.get(newKey())).toBeNull();
    const other = await openResultStore('s3://another');
    await expect(other.check()).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
  } finally {
    await server.close();
  }
});
