/** Wan, text to video: a pipeline of diffusers, exported, against diffusers. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decode } from 'fast-png';

import { python } from '../oracle';

import { expectSameBeginning, expectSamePictures, Family, type Run } from './family';

const suite = python.path ? describe : describe.skip;
const prompt = 'a dew drop on a SPIDER web';
const negative = 'low quality, blurry';
const steps = 4;

suite.each(['wan', 'unipc'])('%s', (variant) => {
  let family: Family;
  beforeAll(async () => {
    family = await Family.open('wan', variant);
  }, 120_000);
  afterAll(() => family?.close());

  const size = (frames: number, height: number, width: number) => ({
    frames: 1 + 4 * (frames - 1),
    sides: { height: 8 * height, width: 8 * width },
  });
  const run = (frames: number, height: number, width: number, scale: number, prompts: string | string[]): Run => {
    const { frames: shown, sides } = size(frames, height, width);
    const images = Array.isArray(prompts) ? prompts.length : 1;
    const negatives = Array.isArray(prompts) ? prompts.map(() => negative) : negative;
    return {
      reference: {
        prompt: prompts,
        negative_prompt: negatives,
        guidance_scale: scale,
        num_inference_steps: steps,
        max_sequence_length: 40,
        num_frames: shown,
        ...sides,
      },
      ours: {
        prompt: prompts,
        ...(scale === 1 ? {} : { negativePrompt: negatives }),
        numInferenceSteps: steps,
        maxSequenceLength: 40,
        numFrames: shown,
        batchSize: images,
        ...sides,
      },
      latents: [images, 4, frames, height, width],
      cfg: scale,
    };
  };
  const alone = run(2, 8, 8, 1, prompt);

  test('ids, embeddings, first output', () => expectSameBeginning(family, alone, { prompt, length: 40 }));
  test('the frames, as PNGs too', async () => {
    await expectSamePictures(family, alone);
    const folder = join(family.oracle.folder, `${variant}-frames`);
    mkdirSync(folder);
    const [video] = (await family.ours(alone)).images;
    const files = await video!.saveFrames(folder);
    expect(files).toHaveLength(5);
    files.forEach((file, frame) => {
      const { width, height, data } = decode(readFileSync(file));
      expect([width, height]).toEqual([64, 64]);
      expect([...data]).toEqual([...video!.frames[frame]!]);
    });
  });
  test('CFG with a negative prompt, at another size and length', () =>
    expectSamePictures(family, run(3, 6, 10, 4, prompt)));
  test('DG', () => expectSamePictures(family, { ...alone, detail: { scale: 1, layer: 1, channels: [7, 19] } }));
  test('CFG + DG, several prompts', () =>
    expectSamePictures(family, {
      ...run(2, 6, 10, 4, [prompt, 'two children fly a kite']),
      detail: { scale: 0.8, layer: 2, channels: [7, 19] },
    }));
});
