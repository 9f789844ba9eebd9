/** Flux dev and schnell: pipelines of diffusers, exported, against diffusers. */
import { afterAll, beforeAll, describe, test } from '@jest/globals';

import { python } from '../oracle';

import { expectSameBeginning, expectSamePictures, Family, testStartingPictures, type Run } from './family';

const suite = python.path ? describe : describe.skip;
const prompt = 'an astronaut riding a horse, OIL painting';
const negative = 'low quality, blurry';
const steps = 4;

suite.each([
  { variant: 'dev', embedded: 3.5, layer: 2 },
  { variant: 'schnell', embedded: undefined, layer: 1 },
])('$variant', ({ variant, embedded, layer }) => {
  let family: Family;
  beforeAll(async () => {
    family = await Family.open('flux', variant);
  }, 120_000);
  afterAll(() => family?.close());

  const size = (height: number, width: number) => ({ height: 4 * height, width: 4 * width });
  const common = { num_inference_steps: steps, max_sequence_length: 48, guidance_scale: embedded ?? 0 };
  const alone: Run = {
    reference: { prompt, ...common, ...size(16, 16) },
    ours: { prompt, numInferenceSteps: steps, maxSequenceLength: 48, ...size(16, 16) },
    latents: [1, 8, 16, 16],
    embedded,
  };
  // Dynamic shift depends on the number of tokens, so on the size.
  const other: Run = {
    ...alone,
    reference: { ...alone.reference, ...size(12, 20) },
    ours: { ...alone.ours, ...size(12, 20) },
    latents: [1, 8, 12, 20],
  };
  const guided: Run = {
    ...other,
    reference: { ...other.reference, negative_prompt: negative, true_cfg_scale: 3 },
    ours: { ...other.ours, negativePrompt: negative },
    cfg: 3,
  };
  const prompts = [prompt, 'two children fly a kite'];

  test('ids, embeddings, first output', () => expectSameBeginning(family, alone, { prompt, length: 48 }));
  test('the picture', () => expectSamePictures(family, alone));
  test('at another size', () => expectSamePictures(family, other));
  test('true CFG with a negative prompt', () => expectSamePictures(family, guided));
  test('DG', () => expectSamePictures(family, { ...other, detail: { scale: 1, layer, channels: [7, 19] } }));
  test('CFG + DG, several prompts', () =>
    expectSamePictures(family, {
      ...guided,
      reference: { ...guided.reference, prompt: prompts, negative_prompt: [negative, ''] },
      ours: { ...guided.ours, prompt: prompts, negativePrompt: [negative, ''], batchSize: 2 },
      latents: [2, 8, 12, 20],
      detail: { scale: 0.8, layer, channels: [7, 19] },
    }));

  testStartingPictures(() => family, guided);
});
