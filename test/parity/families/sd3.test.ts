/** Stable Diffusion 3, 3.5 and 3 without T5: pipelines of diffusers, exported, against diffusers. */
import { afterAll, beforeAll, describe, test } from '@jest/globals';

import { python } from '../oracle';

import { drawing, expectSameBeginning, expectSamePictures, Family, type Run } from './family';

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

  const from = { image: drawing(80, 48, 3), strength: 0.6, seed: 11 };
  const along: Run = { ...guided, reference: { ...guided.reference, strength: 0.6 }, from };
  test('image to image', () => expectSamePictures(family, along));
  test('image to image with DG', () =>
    expectSamePictures(family, { ...along, detail: { scale: 1, layer: 1, channels: [7, 19] } }));
  test('inpainting a picture and a mask of other sizes', () =>
    expectSamePictures(family, { ...along, from: { ...from, image: drawing(131, 60, 3), mask: drawing(50, 31, 1) } }));
  test('inpainting', () => expectSamePictures(family, { ...along, from: { ...from, mask: drawing(80, 48, 1) } }));
  test('inpainting from pure noise', () =>
    expectSamePictures(family, {
      ...along,
      reference: { ...along.reference, strength: 1 },
      from: { ...from, strength: 1, mask: drawing(80, 48, 1) },
    }));
});
