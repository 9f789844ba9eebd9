/** Callbacks that return promises, and signals that many calls share. */
import { getEventListeners } from 'node:events';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { loadPipeline, type GenerateOptions, type Pipeline } from '../../../lib';

let pipeline: Pipeline;
const options: GenerateOptions = { classLabel: 2, seed: 4, numInferenceSteps: 6 };
const turn = () => new Promise((resolve) => setImmediate(resolve));
const never = new Promise<void>(() => undefined);

beforeAll(async () => {
  pipeline = await loadPipeline('embedded', { device: 'cpu' });
});
afterAll(() => pipeline?.dispose());

describe('the run waits for onStep', () => {
  test('one step is dealt with at a time, in order, and the call ends after the last', async () => {
    const log: string[] = [];
    const onStep = async ({ step }: { step: number }) => {
      log.push(`${step} begins`);
      for (let turns = 0; turns < 20; turns++) await turn();
      log.push(`${step} ends`);
    };
    await pipeline.generate({ ...options, onStep });
    expect(log).toEqual([1, 2, 3, 4, 5, 6].flatMap((step) => [`${step} begins`, `${step} ends`]));
  });

  test('the same picture as without', async () => {
    const [slow, plain] = [await pipeline.generate({ ...options, onStep: turn }), await pipeline.generate(options)];
    expect(slow.images[0]!.pixels).toEqual(plain.images[0]!.pixels);
  });

  test('also while activations are read', async () => {
    const steps: number[] = [];
    const records = pipeline.activations({
      generate: { ...options, onStep: async ({ step }) => void steps.push((await turn(), step)) },
    });
    let count = 0;
    for await (const record of records) count += record.nonFinite === 0 ? 1 : 0;
    expect(count).toBeGreaterThan(6);
    expect(steps).toEqual([1, 2, 3, 4, 5, 6]);
  });
});

describe('what a callback throws, or its promise rejects with, ends the call', () => {
  const failure = new Error('the reader has gone');
  const throws = () => {
    throw failure;
  };
  const rejects = async () => {
    await turn();
    throw failure;
  };

  test.each<[string, GenerateOptions]>([
    ['onStep throws', { onStep: throws }],
    ['onStep rejects', { onStep: rejects }],
    ['onStep rejects at the last step', { onStep: ({ step }) => (step === 6 ? rejects() : undefined) }],
    ['onProgress throws', { onProgress: throws }],
    ['onProgress rejects', { onProgress: rejects }],
    ['onProgress rejects in the middle', { onProgress: ({ done }) => (done === 3 ? rejects() : undefined) }],
  ])('%s', async (_name, callbacks) => {
    await expect(pipeline.generate({ ...options, ...callbacks })).rejects.toBe(failure);
    expect((await pipeline.generate(options)).images).toHaveLength(1);
  });

  test('while activations are read', async () => {
    const read = async () => {
      for await (const record of pipeline.activations({ generate: { ...options, onStep: rejects } })) void record;
    };
    await expect(read()).rejects.toBe(failure);
  });
});

describe('a callback that never comes back', () => {
  test('does not hold up an abort', async () => {
    const controller = new AbortController();
    const call = pipeline.generate({ ...options, signal: controller.signal, onStep: () => never });
    setTimeout(() => controller.abort(), 30);
    await expect(call).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' });
    expect((await pipeline.generate(options)).images).toHaveLength(1);
  });

  test.each<[string, GenerateOptions]>([
    ['in the middle', { onStep: () => never }],
    ['at the last step', { onStep: ({ step }) => (step === 6 ? never : undefined) }],
    ['before the first', { onProgress: () => never }],
  ])('does not hold up dispose(), %s', async (_name, callbacks) => {
    const other = await loadPipeline('embedded', { device: 'cpu' });
    const call = other.generate({ ...options, ...callbacks });
    setTimeout(() => void other.dispose(), 200);
    await expect(call).rejects.toMatchObject({ code: 'DISPOSED' });
  });
});

test('many calls that wait on one signal are one listener, and all end with it', async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const calls = Array.from({ length: 40 }, () => pipeline.generate({ ...options, numInferenceSteps: 200, signal }));
  const ended = Promise.allSettled(calls);
  await turn();
  expect(pipeline.waiting).toBe(39);
  expect(getEventListeners(signal, 'abort')).toHaveLength(1);
  controller.abort();
  for (const each of await ended) expect(each).toMatchObject({ reason: { code: 'ABORT_ERR' } });
  expect(pipeline.waiting).toBe(0);
});
