/** Jobs that wait in the server itself go by their priority. */
import { expect, test } from '@jest/globals';

import { LocalDispatcher } from '../../../lib/server/localDispatcher';
import { imageRequestSchema } from '../../../lib/server/request';

test('1 goes before 2, 2 before none, equal ones in the order of their acceptance, and each is told its place', async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const order: (number | undefined)[] = [];
  const dispatcher = new LocalDispatcher({
    maxQueue: 10,
    batch: 1,
    keepSeconds: 60,
    keepBytes: 2 ** 20,
    run: async ([job], onSampled) => {
      if (order.length === 0) await held;
      order.push(job!.request.seed as number);
      job!.finish({ images: [], plan: {} as never, evaluations: 0, seconds: 0 });
      await onSampled();
    },
  });
  const submit = (seed: number, priority?: number) =>
    dispatcher.submit('any', imageRequestSchema.parse({ seed, ...(priority ? { priority } : {}) }));
  const first = await submit(0);
  const jobs = [first, await submit(1), await submit(2, 2), await submit(3, 1), await submit(4, 2), await submit(5)];
  const places = [];
  for (const job of jobs.slice(1)) {
    const { value } = await job.events().next();
    places.push(value!.data);
  }
  expect(places).toEqual([4, 2, 1, 3, 5].map((position) => ({ position })));
  release();
  await Promise.all(jobs.map((job) => job.settled()));
  expect(order).toEqual([0, 3, 2, 4, 1, 5]);
  await dispatcher.close(1);
});
