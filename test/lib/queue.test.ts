import { expect, test } from '@jest/globals';

import { Queue } from '../../lib/model/queue';

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('jobs run one after the other, also after one that fails', async () => {
  const queue = new Queue();
  const log: string[] = [];
  const job =
    (name: string, fails = false) =>
    async () => {
      log.push(`${name} begins`);
      await turn();
      log.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    };
  const results = await Promise.allSettled([queue.enter(job('a')), queue.enter(job('b', true)), queue.enter(job('c'))]);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
});

test('a job that waits is given up at once, and never begins', async () => {
  const queue = new Queue();
  let finish = () => {};
  const first = queue.enter(() => new Promise<void>((resolve) => (finish = resolve)));
  const controller = new AbortController();
  let begun = false;
  const second = queue.enter(async () => void (begun = true), controller.signal);
  controller.abort('mine');
  await expect(second).rejects.toMatchObject({ name: 'AbortError', cause: 'mine' });
  finish();
  await first;
  await turn();
  expect(begun).toBe(false);
});

test('a job that runs is its own to end', async () => {
  const queue = new Queue();
  const controller = new AbortController();
  const job = queue.enter(async () => {
    controller.abort();
    await turn();
    return 'done';
  }, controller.signal);
  await expect(job).resolves.toBe('done');
});

test('it says when a job waits for its turn', async () => {
  const queue = new Queue();
  let waiting = 0;
  const unsubscribe = queue.onWaiting(() => void waiting++);
  let finish = () => {};
  const first = queue.enter(() => new Promise<void>((resolve) => (finish = resolve)));
  await turn();
  expect(queue.isWaitedFor).toBe(false);
  waiting = 0;
  const controller = new AbortController();
  const second = queue.enter(turn, controller.signal);
  expect([waiting, queue.isWaitedFor]).toEqual([1, true]);
  controller.abort();
  await expect(second).rejects.toMatchObject({ name: 'AbortError' });
  expect(queue.isWaitedFor).toBe(false);
  unsubscribe();
  const third = queue.enter(async () => queue.isWaitedFor);
  expect([waiting, queue.isWaitedFor]).toEqual([1, true]);
  finish();
  await first;
  await expect(third).resolves.toBe(false);
});
