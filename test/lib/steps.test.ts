/** A call as an iterator of steps, previews as pictures, latents that become pictures, and PNGs with and without a plan. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { loadPipeline, readOptions, type GenerateResult, type Pipeline, type StepEvent } from '../../lib';
import { decodePng } from '../../lib/image/png';

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await loadPipeline('embedded', { device: 'cpu' });
});
afterAll(() => pipeline.dispose());

const options = { classLabel: 7, seed: 3, numInferenceSteps: 4 };

describe('stream', () => {
  const readAll = async (steps: AsyncGenerator<StepEvent, GenerateResult>) => {
    const events: StepEvent[] = [];
    for (;;) {
      const next = await steps.next();
      if (next.done) return { events, result: next.value };
      events.push(next.value);
    }
  };

  test('gives every step, and at the end what generate gives', async () => {
    const { events, result } = await readAll(pipeline.stream({ ...options, preview: true }));
    expect(events.map(({ step }) => step)).toEqual([1, 2, 3, 4]);
    const { images } = await pipeline.generate(options);
    expect(result.images[0]!.pixels).toEqual(images[0]!.pixels);
    // The last estimate is the picture itself.
    expect(events.at(-1)!.preview![0]!.pixels).toEqual(images[0]!.pixels);
    expect(events[0]!.preview![0]).toMatchObject({ width: 28, height: 28, channels: 1 });
  });

  test('waits for its reader: at most one step is taken ahead', async () => {
    let taken = 0;
    const steps = pipeline.stream({ ...options, numInferenceSteps: 20, onStep: () => void taken++ });
    await steps.next();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(taken).toBeLessThanOrEqual(2);
    await steps.return(undefined as never);
    expect(pipeline.waiting).toBe(0);
  });

  test('leaving the loop ends the call', async () => {
    let taken = 0;
    for await (const { step } of pipeline.stream({
      ...options,
      numInferenceSteps: 100,
      onStep: () => void taken++,
    })) {
      if (step === 2) break;
    }
    expect(taken).toBeLessThan(10);
    expect((await pipeline.generate(options)).images).toHaveLength(1);
  });

  test('a call that is awaited inside the loop does not wait for ever', async () => {
    for await (const { step } of pipeline.stream(options)) {
      if (step === 1) expect((await pipeline.generate(options)).images).toHaveLength(1);
    }
  });

  test('rejects as generate does', async () => {
    await expect(pipeline.stream({ classLabel: 99 }).next()).rejects.toMatchObject({ code: 'CLASS_OUT_OF_RANGE' });
    const signal = AbortSignal.abort();
    await expect(pipeline.stream({ ...options, signal }).next()).rejects.toMatchObject({ code: 'ABORT_ERR' });
  });
});

test('decode makes of the latents the pictures of the call', async () => {
  const { images, latents } = await pipeline.generate({ ...options, numImages: 2 });
  const decoded = await pipeline.decode(latents);
  expect(decoded.map(({ pixels }) => pixels)).toEqual(images.map(({ pixels }) => pixels));
  const wrong = { ...latents, shape: [1, 2, 28, 28] };
  await expect(pipeline.decode(wrong)).rejects.toMatchObject({ code: 'BAD_TENSOR' });
});

test('activations have the pictures of their run', async () => {
  const records = pipeline.activations({ generate: options, sites: [{ layer: 2 }] });
  let next = await records.next();
  while (!next.done) next = await records.next();
  const [image] = await next.value.pictures();
  const { images } = await pipeline.generate(options);
  expect(image!.pixels).toEqual(images[0]!.pixels);
  expect(readOptions(image!.toPng())).toMatchObject({ seed: 3 });
});

test('a PNG without what it was made by', async () => {
  const { images } = await pipeline.generate(options);
  const short = images[0]!.toPng({ metadata: false });
  expect(decodePng(short).text).toEqual({});
  expect(decodePng(short).pixels).toEqual(decodePng(images[0]!.toPng()).pixels);
  expect(() => images[0]!.toPng({ frame: 1 })).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }));
});
