/** Pictures of one call with scales of their own. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';

import {
  loadPipeline,
  readOptions,
  type GenerateOptions,
  type GuidanceOptions,
  type Pipeline,
  type Tensor,
} from '../../lib';
import { relativeDifference } from '../../bench/benchmark';

import { errorOf, planWith } from './model';

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await loadPipeline('embedded', { device: 'cpu' });
});
afterAll(() => pipeline.dispose());

const guided = (cfg: number, detail: number): GuidanceOptions => ({
  classifierFree: { scale: cfg },
  detail: { scale: detail },
});
const guidances = [guided(2, 0.3), guided(5, 0.3), guided(2, 1.2)];
const common: GenerateOptions = { classLabel: ['Coat', 'Sneaker', 'Bag'], seed: [3, 9, 4], numInferenceSteps: 6 };

async function latents(options: GenerateOptions): Promise<Float32Array> {
  return (await pipeline.generate(options)).latents.data as Float32Array;
}

test.each([1, 2, 3])('each picture is the one that its guidance makes alone, in batches of %i', async (batchSize) => {
  const together = await pipeline.generate({ ...common, guidancePerImage: guidances, batchSize });
  for (const [image, guidance] of guidances.entries()) {
    const { classLabel, seed, numInferenceSteps } = common as {
      classLabel: string[];
      seed: number[];
    } & GenerateOptions;
    const alone = {
      classLabel: classLabel[image]!,
      seed: seed[image]!,
      numInferenceSteps: numInferenceSteps!,
      guidance,
    };
    const own = together.images[image]!;
    // Other rows beside it, and a sum in another order: some last bits, after six steps.
    expect(relativeDifference(own.latents.data as Float32Array, await latents(alone))).toBeLessThan(2e-5);
    const again = readOptions(own.toPng());
    expect(again).toMatchObject({ guidance, numImages: 1 });
    expect(relativeDifference(await latents({ ...again, batchSize: 1 }), await latents(alone))).toBe(0);
  }
  expect(together.plan.guidancePerImage).toHaveLength(3);
});

test('equal guidances are one guidance, to the bit', async () => {
  const [guidance] = guidances;
  const listed = await latents({ ...common, batchSize: 3, guidancePerImage: [guidance!, guidance!, guidance!] });
  expect(relativeDifference(listed, await latents({ ...common, batchSize: 3, guidance: guidance! }))).toBe(0);
});

test('a mask of whole numbers is a mask here too, equal by what is in it', () => {
  const mask = (...values: bigint[]) => ({ data: BigInt64Array.from(values), shape: [1, 2], dtype: 'int64' as const });
  const masked = (scale: number, tokens: Tensor): GuidanceOptions => ({ detail: { scale, tokens } });
  const plan = planWith({ guidancePerImage: [masked(0.3, mask(1n, 0n)), masked(0.6, mask(1n, 0n))], classLabel: 0 });
  expect(plan.guidancePerImage).toHaveLength(2);
  const others = [masked(0.3, mask(1n, 0n)), masked(0.6, mask(0n, 1n))];
  expect(errorOf(() => planWith({ guidancePerImage: others, classLabel: 0 }))).toMatchObject({ code: 'BAD_OPTION' });
});

test('what differs in more than scales is refused', () => {
  const refused = (options: GenerateOptions) => {
    const { code, message } = errorOf(() => planWith({ ...options, classLabel: 0 }));
    return `${code}: ${message}`;
  };
  const layer = { ...guided(2, 0.3), detail: { scale: 0.3, layer: 1 } };
  expect(refused({ guidancePerImage: [guided(2, 0.3), layer] })).toMatch(
    /BAD_OPTION: options\.guidancePerImage: expected guidances that differ in their scales alone/,
  );
  expect(refused({ guidancePerImage: [guided(2, 0.3), guided(1, 0.3)] })).toMatch(/picture 1/);
  expect(refused({ guidancePerImage: [guided(2, 0.3)], guidance: {} })).toMatch(/options\.guidance: expected nothing/);
  expect(refused({ guidancePerImage: [guided(2, 0.3)], numImages: 2 })).toMatch(/expected 2 guidances/);
  expect(refused({ guidancePerImage: [] })).toMatch(/a list of guidances/);
});
