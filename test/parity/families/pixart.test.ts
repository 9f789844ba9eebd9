/** PixArt-α and PixArt-Σ: pipelines of diffusers, exported, against diffusers. */
import { afterAll, beforeAll, describe, test } from '@jest/globals';

import { python } from '../oracle';

import { expectSameBeginning, expectSamePictures, Family, type Run } from './family';

const suite = python.path ? describe : describe.skip;
const prompt = 'A watercolour of a lighthouse by the sea';
const negative = 'low quality, blurry';
const steps = 5;

suite.each(['alpha', 'sigma'])('%s', (variant) => {
  let family: Family;
  beforeAll(async () => {
    family = await Family.open('pixart', variant);
  }, 120_000);
  afterAll(() => family?.close());

  const size = (height: number, width: number) => ({ height: 4 * height, width: 4 * width });
  const common = {
    num_inference_steps: steps,
    max_sequence_length: 40,
    use_resolution_binning: false,
    clean_caption: false,
  };
  const ours = { prompt, numInferenceSteps: steps, maxSequenceLength: 40 };
  const alone: Run = {
    reference: { prompt, guidance_scale: 1, ...common, ...size(16, 16) },
    ours: { ...ours, ...size(16, 16) },
    latents: [1, 4, 16, 16],
  };
  const guided: Run = {
    reference: { prompt, negative_prompt: negative, guidance_scale: 4, ...common, ...size(12, 20) },
    ours: { ...ours, negativePrompt: negative, ...size(12, 20) },
    latents: [1, 4, 12, 20],
    cfg: 4,
  };
  const prompts = [prompt, 'two children fly a kite'];

  test('ids, embeddings, first output', () => expectSameBeginning(family, alone, { prompt, length: 40 }));
  test('the picture', () => expectSamePictures(family, alone));
  test('CFG with a negative prompt, at another size', () => expectSamePictures(family, guided));
  test('DG', () => expectSamePictures(family, { ...alone, detail: { scale: 1, layer: 1, channels: [7, 19] } }));
  test('CFG + DG, several prompts', () =>
    expectSamePictures(family, {
      ...guided,
      reference: { ...guided.reference, prompt: prompts, negative_prompt: [negative, ''] },
      ours: { ...guided.ours, prompt: prompts, negativePrompt: [negative, ''], batchSize: 2 },
      latents: [2, 4, 12, 20],
      detail: { scale: 0.8, layer: 2, channels: [7, 19] },
    }));
});
