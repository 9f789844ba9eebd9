/** Many machines whose clocks differ: tries that failed are repeated after their pause, not at once and not hours later. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { Machines, short, until, withRedis } from './machines';

/** A worker's clock, from now on. */
const clock = (now: string) => [
  '--import',
  `data:text/javascript,const real = Date.now; let looks = 0; Date.now = () => ${encodeURIComponent(now)};`,
];

let machines: Machines;

withRedis('clocks that differ', () => {
  beforeEach(async () => {
    machines = await Machines.prepare();
    machines.startRedis();
    await machines.startServer();
    await until(async () => (await fetch(`${machines.place}/readyz`)).status === 200);
  });
  afterEach(() => machines.close());

  const aside = () => `${machines.results}-aside`;
  /** No picture can be written: every try fails. */
  const breakResults = () => {
    renameSync(machines.results, aside());
    writeFileSync(machines.results, '');
  };
  const mendResults = () => {
    rmSync(machines.results);
    renameSync(aside(), machines.results);
  };

  test('a clock that leaps ahead skips no pause: four tries take seven seconds', async () => {
    await machines.startWorker(clock('real() + 60_000 * looks++'));
    breakResults();
    const started = performance.now();
    const { state, error } = await machines.ended(await machines.submit(short));
    expect([state, error.code]).toEqual(['failed', 'OUTPUT_UNWRITABLE']);
    expect(performance.now() - started).toBeGreaterThan(6900);
  }, 120_000);

  test('a job that failed an hour ahead is taken over a day behind, and is not waited for until then', async () => {
    const ahead = await machines.startWorker(clock('real() + 3_600_000'));
    breakResults();
    const id = await machines.submit({ ...short, seed: 5 });
    await machines.running(id);
    await until(async () => (await machines.get('/v1/jobs?state=queued')).jobs.length === 1);
    ahead.kill('SIGKILL');
    mendResults();
    await machines.startWorker(clock('real() - 86_400_000'));
    expect(await machines.ended(id)).toMatchObject({ state: 'done', images: [{ seed: 5 }] });
  }, 120_000);
});
