/** Blocks whose weights wait in host memory: the same pictures, and the run says what was done. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { loadPipeline, type GenerateOptions, type LoadOptions, type Pipeline } from '../../lib';
import { withoutInt8 } from '../processor';

const options: GenerateOptions = {
  classLabel: 'Coat',
  seed: 5,
  numInferenceSteps: 3,
  guidance: { classifierFree: { scale: 3 }, detail: { scale: 0.3 } },
};

let waiting: Pipeline;
beforeAll(async () => {
  waiting = await loadPipeline('embedded', { device: 'cpu', offload: 'blocks' });
});
afterAll(() => waiting.dispose());

async function generated(load: LoadOptions) {
  await using pipeline = await loadPipeline('embedded', { device: 'cpu', ...load });
  return await pipeline.generate(options);
}

test('the same PNG, byte for byte, and two blocks at a time', async () => {
  const expected = await generated({});
  const found = await waiting.generate(options);
  expect(Buffer.compare(found.images[0]!.toPng(), expected.images[0]!.toPng())).toBe(0);
  expect(expected.execution.offload).toBeNull();
  const { blocks, bytes, resident, brought } = found.execution.offload!;
  expect(blocks).toBe(waiting.size.blocks);
  expect(bytes).toBeLessThan(waiting.size.bytes);
  expect(resident).toBeLessThanOrEqual((2 * bytes) / blocks);
  expect(resident).toBeGreaterThan(bytes / blocks);
  expect(brought).toBeGreaterThanOrEqual(3 * bytes);
  expect(found.execution.partialForward.shared).toBe(true);
  expect(found.execution.fused).toEqual(expected.execution.fused);
});

test.each<[string, LoadOptions]>([
  ['bfloat16', { dtype: 'bfloat16' }],
  ['without fusing', { fuse: false }],
  ...(withoutInt8 === null ? [['int8', { quantize: 'int8' }] as [string, LoadOptions]] : []),
  ['lowMemory', { lowMemory: true }],
])('%s: the same latents', async (_name, load) => {
  const expected = await generated(load);
  const found = await generated({ ...load, offload: 'blocks' });
  expect(found.latents.data).toEqual(expected.latents.data);
  expect(found.execution.offload).not.toBeNull();
});

test('a run that was aborted in the middle leaves the next one as it is', async () => {
  const wanted = await waiting.generate(options);
  const controller = new AbortController();
  const aborted = waiting.generate({ ...options, onStep: () => controller.abort(), signal: controller.signal });
  await expect(aborted).rejects.toMatchObject({ code: 'ABORT_ERR' });
  const { latents } = await waiting.generate(options);
  expect(latents.data).toEqual(wanted.latents.data);
});

test('what is no way to offload is refused', async () => {
  const load = loadPipeline('embedded', { device: 'cpu', offload: 'nonsense' as 'blocks' });
  await expect(load).rejects.toMatchObject({
    code: 'BAD_OPTION',
    message: expect.stringMatching(/options\.offload: expected .*'blocks'.*received 'nonsense'/),
  });
});

test('the memory that is expected is that which is there', async () => {
  const found = await waiting.generate(options);
  const { bytes, resident } = found.execution.offload!;
  const here = waiting.expectedMemory();
  expect(here).toEqual(waiting.expectedMemory({ dtype: 'float32', quantize: null, offload: 'blocks', rows: 3 }));
  const plain = waiting.expectedMemory({ offload: null });
  expect(plain).toMatchObject({ transformer: waiting.size.bytes, host: 0 });
  // To the byte, but for weights that several blocks share, which stay on the device.
  expect(here.host - bytes).toBeGreaterThanOrEqual(0);
  expect(here.host - bytes).toBeLessThan(0.01 * bytes);
  expect(here.transformer - (plain.transformer - here.host)).toBeGreaterThanOrEqual(resident);
  expect(here.transformer - (plain.transformer - here.host)).toBeLessThan(1.01 * resident + 0.02 * bytes);
  expect(here.total).toBe(here.transformer + here.activations);
});
