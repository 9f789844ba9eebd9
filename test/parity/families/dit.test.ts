/** DiT: a pipeline of diffusers, exported, against diffusers, whose transformer takes squares alone. */
import { afterAll, beforeAll, describe, test } from '@jest/globals';

import { python } from '../oracle';

import { expectSameBeginning, expectSamePictures, Family, type Run } from './family';

const suite = python.path ? describe : describe.skip;
const steps = 5;

suite('dit', () => {
  let family: Family;
  beforeAll(async () => {
    family = await Family.open('dit', 'dit');
  }, 120_000);
  afterAll(() => family?.close());

  const alone: Run = {
    reference: { class_labels: [207], guidance_scale: 1, num_inference_steps: steps },
    ours: { classLabel: 207, numInferenceSteps: steps },
    latents: [1, 4, 16, 16],
  };
  const guided: Run = { ...alone, reference: { ...alone.reference, guidance_scale: 4 }, cfg: 4 };

  const other: Run = { ...guided, ours: { ...guided.ours, width: 48, height: 48 }, latents: [1, 4, 12, 12] };

  test('class, first output', () => expectSameBeginning(family, alone));
  test('the picture', () => expectSamePictures(family, alone));
  test('CFG', () => expectSamePictures(family, guided));
  test('CFG + DG at another size', () =>
    expectSamePictures(family, { ...other, detail: { scale: 0.8, layer: 1, channels: [7, 19] } }));
  test('DG', () => expectSamePictures(family, { ...alone, detail: { scale: 1, layer: 1, channels: [7, 19] } }));
  test('CFG + DG, several classes', () =>
    expectSamePictures(family, {
      ...guided,
      reference: { ...guided.reference, class_labels: [207, 3] },
      ours: { ...guided.ours, classLabel: [207, 3], numImages: 2, batchSize: 2 },
      latents: [2, 4, 16, 16],
      detail: { scale: 0.8, layer: 2, channels: [7, 19] },
    }));
});
