/** Stable Diffusion 3, 3.5 and 3 without T5: pipelines of diffusers, exported, against diffusers. */
import { afterAll, beforeAll, describe, test } from '@jest/globals';

import { python } from '../oracle';

import { expectSameBeginning, expectSamePictures, Family, testStartingPictures, type Run } from './family';

const suite = python.path ? describe : describe.skip;
const prompt = 'a photo of a cat, sharp focus, near the RIVER';
const negative = 'low quality, blurry';
const steps = 4;

suite.each(['sd3', 'sd35', 'no-t5'])('%s', (variant) => {
  let family: Family;
  beforeAll(async () => {
    family = await Family.open('sd3', variant);
  }, 120_000);
  afterAll(() => family?.close());

  const size = (height: number, width: number) => ({ height: 4 * height, width: 4 * width });
  const common = { num_inference_steps: steps, max_sequence_length: 32 };
  const alone: Run = {
    reference: { prompt, guidance_scale: 1, ...common, ...size(16, 16) },
    ours: { prompt, numInferenceSteps: steps, maxSequenceLength: 32 },
    latents: [1, 16, 16, 16],
  };
  const guided: Run = {
    reference: { prompt, negative_prompt: negative, guidance_scale: 4, ...common, ...size(12, 20) },
    ours: { prompt, negativePrompt: negative, numInferenceSteps: steps, maxSequenceLength: 32, ...size(12, 20) },
    latents: [1, 16, 12, 20],
    cfg: 4,
  };
  const prompts = [prompt, 'two children fly a kite'];

  test('ids, embeddings, first output', () => expectSameBeginning(family, alone, { prompt, length: 32 }));
  test('the picture', () => expectSamePictures(family, alone));
  test('CFG with a negative prompt, at another size', () => expectSamePictures(family, guided));
  test('DG', () => expectSamePictures(family, { ...alone, detail: { scale: 1, layer: 1, channels: [7, 19] } }));
  test('CFG + DG, several prompts', () =>
    expectSamePictures(family, {
      ...guided,
      reference: { ...guided.reference, prompt: prompts, negative_prompt: [negative, ''] },
      ours: { ...guided.ours, prompt: prompts, negativePrompt: [negative, ''], batchSize: 2 },
      latents: [2, 16, 12, 20],
      detail: { scale: 0.8, layer: 2, channels: [7, 19] },
    }));

  testStartingPictures(() => family, guided);
});
