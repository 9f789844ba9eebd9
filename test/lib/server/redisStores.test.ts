/** Many machines whose place for results refuses in the middle of a job: a disk that is full, an S3 store that goes away. */
import { spawnSync, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';

import { long, Machines, short, until, withRedis, type Wire } from './machines';
import { bucket, S3, s3Environment } from './s3';

const folder = mkdtempSync(join(tmpdir(), 'detail-guidance-full-'));
const disk = join(folder, 'disk');
mkdirSync(disk);
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk]).status === 0;
if (!mounted) console.warn('a file system cannot be mounted here (it takes root): the test of a full disk is skipped');
afterAll(() => {
  if (mounted) spawnSync('umount', [disk]);
  rmSync(folder, { recursive: true, force: true });
});

/** Fills what is left, to the last byte. */
function fill(): void {
  const file = openSync(join(disk, 'filler'), 'w');
  try {
    for (let size = 65_536; size >= 1;) {
      try {
        writeSync(file, new Uint8Array(size));
      } catch {
        size = Math.floor(size / 2);
      }
    }
  } finally {
    closeSync(file);
  }
}

withRedis('a place for results', () => {
  let machines: Machines;
  beforeAll(async () => {
    machines = await Machines.prepare();
    machines.startRedis();
  });
  afterAll(() => machines.close());
  let worker: ChildProcess;
  afterEach(() => {
    worker.kill('SIGKILL');
  });

  (mounted ? test : test.skip)(
    'a disk that is full is said, leaves no part of a file, and takes pictures again when there is room',
    async () => {
      machines.results = disk;
      await machines.startServer();
      worker = await machines.startWorker();
      const before = await machines.submit(short);
      expect(await machines.ended(before)).toMatchObject({ state: 'done' });
      fill();
      const refused = await machines.submit(short);
      const { state, error } = await machines.ended(refused);
      expect([state, error.code, error.message]).toEqual([
        'failed',
        'OUTPUT_UNWRITABLE',
        expect.stringMatching(/full/),
      ]);
      expect(readdirSync(disk).sort()).toEqual([`${before}-0.png`, 'filler'].sort());
      rmSync(join(disk, 'filler'));
      expect(await machines.ended(await machines.submit(short))).toMatchObject({ state: 'done' });
      await machines.stopServer();
    },
    120_000,
  );

  test('an S3 store that goes away in mid-job and comes back costs nothing but time', async () => {
    const store = new S3(join(folder, 's3'));
    Object.assign(process.env, s3Environment(await store.start()));
    machines.results = `s3://${bucket}/made`;
    await machines.startServer();
    worker = await machines.startWorker();
    const id = await machines.submit({ ...long, numImages: 1 });
    await machines.running(id);
    await store.stop();
    // Its picture is made, and not taken: it waits for another try.
    await until(async () =>
      ((await machines.get('/v1/jobs?state=queued')).jobs as Wire[]).some((job) => job.id === id),
    );
    await store.start();
    expect(await machines.ended(id)).toMatchObject({ state: 'done', images: [{ seed: 11 }] });
    const png = await machines.picture(id);
    // Another server looks the picture up itself: not found is said as what it is, and is no verdict for good.
    await machines.stopServer();
    await machines.startServer();
    await store.stop();
    const { state, error } = (await machines.get(`/v1/jobs/${id}`)) as Wire;
    expect([state, error.code]).toEqual(['failed', 'RESULT_UNAVAILABLE']);
    const refused = await fetch(`${machines.place}/v1/jobs/${id}/images/0`);
    expect([refused.status, ((await refused.json()) as Wire).error.code]).toEqual([503, 'RESULT_UNAVAILABLE']);
    await store.start();
    expect((await machines.get(`/v1/jobs/${id}`)) as Wire).toMatchObject({ state: 'done' });
    expect((await machines.picture(id)).equals(png)).toBe(true);
    await store.stop();
  }, 180_000);
});
