/** Bundles that are unloaded for others, while requests for them arrive. */
import { afterEach, expect, jest, test } from '@jest/globals';

import { openBundle } from '../../../lib/bundle';
import { partSizes } from '../../../lib/model/memory';
import { Pipeline } from '../../../lib/pipeline/pipeline';
import { BundlePool } from '../../../lib/server/bundlePool';

const request = { classLabel: 'Coat', seed: 7, numInferenceSteps: 2 };
const picture = (pipeline: Pipeline) => pipeline.generate(request);

afterEach(() => void jest.restoreAllMocks());

/** A pool of three bundles with room for so many of them. */
async function poolWithRoomFor(count: number): Promise<BundlePool> {
  const [one = 0] = partSizes(await openBundle('embedded'), 'float32').map(({ bytes }) => bytes);
  return new BundlePool({ bundles: ['embedded', 'embedded', 'embedded'], load: {}, memoryLimit: count * one });
}

/** Unloading begins at once and ends when it is let go. */
function holdUnloading() {
  const dispose = Pipeline.prototype.dispose;
  let letGo = () => {};
  const gate = new Promise<void>((resolve) => (letGo = resolve));
  let began = () => {};
  const begun = new Promise<void>((resolve) => (began = resolve));
  jest.spyOn(Pipeline.prototype, 'dispose').mockImplementation(async function (this: Pipeline) {
    began();
    await gate;
    await dispose.call(this);
  });
  return { begun, letGo };
}

test('the longest unused goes first, and only as many as have to', async () => {
  const pool = await poolWithRoomFor(2);
  const [first, second, third] = pool.names as [string, string, string];
  let time = 0;
  jest.spyOn(Date, 'now').mockImplementation(() => time++);
  for (const name of [first, second, first, third]) await pool.with(name, picture);
  expect(pool.names.map((name) => pool.isLoaded(name))).toEqual([true, false, true]);
  await pool.close();
});

test('one that a request begins to use while another is unloaded stays', async () => {
  const pool = await poolWithRoomFor(1);
  const [first, second, third] = pool.names as [string, string, string];
  // Both at once: what is in use is not unloaded, whatever the limit.
  await pool.with(first, () => pool.with(second, picture));
  const { begun, letGo } = holdUnloading();
  const loading = pool.with(third, picture);
  await begun;
  const used = pool.isLoaded(second) ? second : first;
  const making = pool.with(used, async (pipeline) => {
    letGo();
    await loading;
    return picture(pipeline);
  });
  expect((await making).images).toHaveLength(1);
  expect([pool.isLoaded(used), pool.isLoaded(third)]).toEqual([true, true]);
  await pool.close();
});

test('a request for one that is being unloaded loads it again', async () => {
  const pool = await poolWithRoomFor(1);
  const [first, second] = pool.names as [string, string, string];
  const before = await pool.with(first, picture);
  const { begun, letGo } = holdUnloading();
  const loading = pool.with(second, picture);
  await begun;
  const again = pool.with(first, picture);
  letGo();
  expect((await again).images[0]!.pixels).toEqual(before.images[0]!.pixels);
  await loading;
  await pool.close();
});
