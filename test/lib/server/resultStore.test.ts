/** Where workers put pictures: a folder, and an S3-compatible store that runs here. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import promises from 'node:fs/promises';
import { createServer as createSocket, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, jest, test } from '@jest/globals';

import { openResultStore, patientStore } from '../../../lib/server/remote/resultStore';

import { S3, s3Environment } from './s3';

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
  const missing = openResultStore(join(folder, 'missing', 'results'));
  await expect(missing).rejects.toMatchObject({ code: 'BAD_OPTION', message: expect.stringMatching(/^results: /) });
  const file = join(folder, 'a file');
  writeFileSync(file, '');
  await expect(openResultStore(file)).rejects.toMatchObject({ message: expect.stringMatching(/it is a file/) });
});

test('what cannot be removed does not keep what is old, and files of others stay', async () => {
  const place = join(folder, 'foreign');
  mkdirSync(place);
  const [inTheWay, old] = ['00000000-0000-0000-0000-000000000001-0.png', '00000000-0000-0000-0000-000000000002-0.png'];
  mkdirSync(join(place, inTheWay));
  // A process that was killed left the last one.
  for (const name of [old, 'holiday.jpg', '.clock-00000000']) writeFileSync(join(place, name), '');
  for (const name of readdirSync(place)) utimesSync(join(place, name), 1, 1);
  await (await openResultStore(place)).removeOlderThan(60);
  expect(readdirSync(place).sort()).toEqual([inTheWay, 'holiday.jpg']);
});

test('neither a link nor a pipe in the folder leads out of it, or holds the server up', async () => {
  const place = join(folder, 'linked');
  mkdirSync(place);
  const secret = join(folder, 'secret');
  writeFileSync(secret, 'of this machine');
  const [link, pipe, inside] = [newKey(), newKey(), newKey()];
  symlinkSync(secret, join(place, link));
  execFileSync('mkfifo', [join(place, pipe)]);
  mkdirSync(join(place, inside));
  const store = await openResultStore(place);
  expect(await Promise.all([link, pipe, inside].map((key) => store.get(key)))).toEqual([null, null, null]);
  // What is written in their place is a file of its own.
  await store.put(link, png);
  expect([...(await store.get(link))!]).toEqual([...png]);
  expect(readFileSync(secret, 'utf8')).toBe('of this machine');
});

test('a store that does not answer is given up, and says so; what is not there is null', async () => {
  const silent = createSocket(() => undefined).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  Object.assign(process.env, s3Environment((silent.address() as AddressInfo).port));
  const store = await openResultStore('s3://pictures', 200);
  await expect(store.put(newKey(), png)).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
  await expect(store.get(newKey())).rejects.toThrow();
  silent.close();
});

test('an S3-compatible store gives back what was put there; one that refuses is said', async () => {
  const server = new S3(join(folder, 's3'));
  Object.assign(process.env, s3Environment(await server.start()));
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
    await server.stop();
  }
});

test('a folder that does not answer is given up, and is not asked again and again to remove what is old', async () => {
  let sweeps = 0;
  const never = () => new Promise<never>(() => undefined);
  const hanging = { check: never, put: never, get: never, removeOlderThan: () => (sweeps++, never()) };
  const store = patientStore(hanging, '/mnt/pictures', 20);
  const refusal = { code: 'OUTPUT_UNWRITABLE', message: '/mnt/pictures cannot be written: it does not answer.' };
  await expect(store.check()).rejects.toMatchObject(refusal);
  await expect(store.put(newKey(), png)).rejects.toMatchObject(refusal);
  await expect(store.get(newKey())).rejects.toThrow('it does not answer');
  void store.removeOlderThan(1);
  await store.removeOlderThan(1);
  expect(sweeps).toBe(1);
});

test('a folder has the patience that it is given', async () => {
  const place = join(folder, 'patience');
  mkdirSync(place);
  const store = await openResultStore(place, 20);
  const hanging = jest.spyOn(promises, 'rename').mockReturnValue(new Promise(() => undefined));
  await expect(store.put(newKey(), png)).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
  hanging.mockRestore();
});
