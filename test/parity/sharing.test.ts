/**
 * Partial forward changes no result: what branches share before their first edit is computed once, on fewer rows. In
 * exact arithmetic nothing differs. In fp32 a matrix product may take another path for another number of rows, so the
 * last bits may; how far is stated here. An image's bytes never depend on the other images of a call.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { loadPipeline, type Pipeline } from '../../lib';
import type { Tensor } from '../../lib/tensor';

import { difference, expectEqual, Oracle, python, row } from './oracle';
import { generate, latents, optionsOf, type SamplingCase } from './sampling';
import { embedded, subjects, type Subject } from './subjects';

const suite = python.path ? describe : describe.skip;

/** Last bits, over a run of several steps. */
const rounding = 5e-6;

suite(`partial forward changes no result${python.path ? '' : ` (skipped: ${python.reason})`}`, () => {
  let oracle: Oracle;
  beforeAll(() => {
    oracle = new Oracle();
  });
  afterAll(() => oracle?.close());

  const all = [embedded, ...subjects];
  describe.each(all.map((subject) => [subject.name, subject] as const))('%s', (name, subject) => {
    let pipeline: Pipeline;
    beforeAll(async () => {
      pipeline = await loadPipeline(name === 'embedded' ? name : await oracle.bundle(name), { device: 'cpu' });
    }, 120_000);
    afterAll(async () => pipeline?.dispose());

    const detail = (layer: number) => ({ scale: 0.7, layer, channels: [7, 19] });
    const everyLayer = subject.layers.map((_, layer) => layer);

    test.each(everyLayer)('cut after layer %i', async (layer) => {
      const run: SamplingCase = {
        name: '',
        guidance: { classifierFree: { scale: 2 }, detail: detail(layer) },
        steps: 3,
      };
      const shared = await generate(pipeline, subject, run);
      const whole = await generate(pipeline, subject, run, { partialForward: false });
      expect(shared.execution.partialForward).toEqual({ shared: true, cuts: [subject.layers[layer]], reason: null });
      expect(whole.execution.partialForward).toEqual({ shared: false, cuts: [], reason: null });
      expect(shared.evaluations).toBe(whole.evaluations);
      expectEqual(`${name}: cut after layer ${layer}`, shared.latents, whole.latents);
      expect(difference(shared.latents, whole.latents)).toBeLessThan(rounding);
    });

    test('several cuts, nested', async () => {
      const run: SamplingCase = {
        name: '',
        guidance: { detail: everyLayer.map((layer) => ({ ...detail(layer), scale: 0.1 })), slg: slgOf(subject) },
        steps: 3,
      };
      const shared = await generate(pipeline, subject, run);
      const whole = await generate(pipeline, subject, run, { partialForward: false });
      expect(shared.execution.partialForward.reason).toBeNull();
      expect(shared.execution.partialForward.cuts).toEqual(subject.layers);
      expect(difference(shared.latents, whole.latents)).toBeLessThan(rounding);
    });

    test('cuts inside blocks, at their attention', async () => {
      const guidance = { pag: { scale: 0.5, layers: [1] }, seg: { scale: 0.5, layers: [subject.layers.length - 1] } };
      const shared = await generate(pipeline, subject, { name: '', guidance, steps: 3 });
      const whole = await generate(pipeline, subject, { name: '', guidance, steps: 3 }, { partialForward: false });
      expect(shared.execution.partialForward.shared).toBe(true);
      expect(shared.execution.partialForward.reason).toBeNull();
      expect(difference(shared.latents, whole.latents)).toBeLessThan(rounding);
    });

    test('the same call twice gives the same bytes', async () => {
      const run: SamplingCase = { name: '', guidance: { classifierFree: { scale: 2 }, detail: detail(1) }, steps: 3 };
      const [first, second] = [await generate(pipeline, subject, run), await generate(pipeline, subject, run)];
      expect(second.latents.data).toEqual(first.latents.data);
    });

    test('an image has the same bytes alone and among others', async () => {
      const run: SamplingCase = { name: '', guidance: { classifierFree: { scale: 2 }, detail: detail(1) }, steps: 3 };
      const together = await generate(pipeline, subject, run);
      const options = optionsOf(subject, run);
      const batched = await generate(pipeline, subject, run, { batchSize: 2 });
      expect(difference(batched.latents, together.latents)).toBeLessThan(rounding);
      const unbatched = new Set(['image_ids', 'text_ids']);
      const one = (tensors: Record<string, Tensor> | undefined, index: number) =>
        tensors &&
        Object.fromEntries(
          Object.entries(tensors).map(([key, tensor]) => [key, unbatched.has(key) ? tensor : row(tensor, index)]),
        );
      for (const index of [0, 1]) {
        const { classLabel, conditioning, negativeConditioning, ...rest } = options;
        const alone = await pipeline.generate({
          ...rest,
          latents: row(latents(subject), index),
          ...(classLabel ? { classLabel: (classLabel as number[])[index]! } : {}),
          ...(conditioning ? { conditioning: one(conditioning, index)! } : {}),
          ...(negativeConditioning ? { negativeConditioning: one(negativeConditioning, index)! } : {}),
        });
        expect(alone.latents.data).toEqual(row(together.latents, index).data);
      }
    });
  });
});

/** Skips a block in the middle: another branch that shares what comes before. */
function slgOf({ layers }: Subject) {
  return { scale: 0.4, layers: [Math.floor(layers.length / 2)], start: 0.01, stop: 1 };
}
