/** Branches of one's own, edits in words, presets, and what a plan says about itself. */
import { describe, expect, test } from '@jest/globals';

import { GuidanceBuilder, presetNames, type Edit, type GuidanceOptions } from '../../lib/guidance';
import { explain } from '../../lib/plan';

import { embeddedManifest, errorOf, plannedModel, planWith } from './model';

const edited = (...edits: Edit[]) => planWith({ guidance: { branches: [{ weight: 1, edits }] } }).edits;
const source = { data: new Float32Array(49 * 128), shape: [1, 49, 128], dtype: 'float32' as const };

describe('edits', () => {
  test('every operation, where it acts by default', () => {
    const options: Edit[] = [
      { operation: 'zero', layer: 0, channels: [1] },
      { operation: 'retain', layer: 1, retention: 0.5 },
      { operation: 'mean', layer: 2 },
      { operation: 'affine', layer: 3, channels: [4, 5], scale: 2, shift: [1, -1] },
      { operation: 'transplant', layer: 4, source },
      { operation: 'skip', layer: 5 },
      { operation: 'shuffle', layer: 6, seed: 3 },
      { operation: 'identity', layer: 6 },
      { operation: 'blur', layer: 7, tap: 'query' },
      { operation: 'match', path: 'blocks.7', channels: [1], reference: 'auto' },
    ];
    const found = edited(...options);
    expect(found.map(({ operation, path, tap }) => [operation, path, tap])).toEqual([
      ['retain', 'blocks.0', 'output'],
      ['retain', 'blocks.1', 'output'],
      ['mean', 'blocks.2', 'output'],
      ['affine', 'blocks.3', 'output'],
      ['transplant', 'blocks.4', 'output'],
      ['skip', 'blocks.5', 'output'],
      ['shuffle', 'blocks.6', 'output'],
      ['identity', 'blocks.6.attention', 'attention'],
      ['blur', 'blocks.7.attention', 'query'],
      ['match', 'blocks.7', 'output'],
    ]);
    expect(found[0]).toMatchObject({ retention: [0, 0, 0, 0], channels: [1] });
    expect(found[3]).toMatchObject({ scale: [2, 2], shift: [1, -1] });
    expect(found[8]).toMatchObject({ sigma: 1, grid: [7, 7] });
    expect(found[9]!.reference).toEqual(embeddedManifest().massiveActivations!.channels);
  });

  test.each<[string, Edit, string, RegExp]>([
    ['no place', { operation: 'zero' }, 'BAD_OPTION', /expected either 'layer' or 'path', received neither/],
    [
      'two places',
      { operation: 'zero', layer: 1, path: 'blocks.1' },
      'BAD_OPTION',
      /expected either 'layer' or 'path', received both/,
    ],
    [
      'what belongs to another operation',
      { operation: 'zero', layer: 1, sigma: 1 } as Edit,
      'BAD_OPTION',
      /^options\.guidance\.branches\[0\]\.edits\[0\]\.sigma: expected nothing, since 'blur' alone/,
    ],
    [
      'no source',
      { operation: 'transplant', layer: 1 } as Edit,
      'BAD_OPTION',
      /^options\.guidance\.branches\[0\]\.edits\[0\]\.source: expected a tensor .*, received nothing/,
    ],
    [
      'no reference',
      { operation: 'match', layer: 1 } as Edit,
      'BAD_OPTION',
      /^options\.guidance\.branches\[0\]\.edits\[0\]\.reference: expected .*, received nothing/,
    ],
    [
      'a misspelt field',
      { operation: 'zero', layer: 1, chanels: [1] } as Edit,
      'BAD_OPTION',
      /chanels: expected 'channels'/,
    ],
    [
      'a source of another rank',
      { operation: 'transplant', layer: 1, source: { ...source, shape: [49, 128] } },
      'BAD_TENSOR',
      /\[any, 49, 128\]/,
    ],
    [
      'a scale too few',
      { operation: 'affine', layer: 1, channels: [1, 2], scale: [1] },
      'BAD_OPTION',
      /one for each of 2 channels, received 1 numbers/,
    ],
    ['a layer beyond', { operation: 'zero', layer: [1, 8] }, 'LAYER_OUT_OF_RANGE', /0 to 7/],
    [
      'an unknown operation',
      { operation: 'erase' as 'zero', layer: 1 },
      'BAD_OPTION',
      /operation: expected one of 'zero'.*, received 'erase'/,
    ],
  ])('refuses %s', (_name, edit, code, message) => {
    expect(errorOf(() => edited(edit))).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test('refuses two edits of the same values in one branch', () => {
    const conflict = errorOf(() =>
      edited({ operation: 'zero', layer: 1, channels: [1, 2] }, { operation: 'mean', layer: 1 }),
    );
    expect(conflict).toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringMatching(/received 'retain' and 'mean' at/),
    });
    expect(
      edited({ operation: 'zero', layer: 1, channels: [1] }, { operation: 'mean', layer: 1, channels: [2] }),
    ).toHaveLength(2);
    expect(
      edited({ operation: 'zero', layer: 1, tokens: [1] }, { operation: 'mean', layer: 1, tokens: [2] }),
    ).toHaveLength(2);
  });
});

describe("branches of one's own", () => {
  test('weights that do not add up to 1 in every step', () => {
    const guidance: GuidanceOptions = { branches: [{ weight: 1.5 }, { conditioning: 'unconditional', weight: -0.4 }] };
    expect(errorOf(() => planWith({ guidance }))).toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringMatching(/add up to 1 in every step, received 1\.1 \(in step 0\)/),
    });
  });

  test('the builder gives what the techniques give', () => {
    const { layer, channels } = embeddedManifest().massiveActivations!;
    const built = new GuidanceBuilder()
      .towards({ conditioning: 'unconditional' }, -2)
      .away([{ operation: 'zero', layer, channels: [...channels] }], 0.5, { stop: 0.5 })
      .build();
    const named = planWith({ guidance: { classifierFree: { scale: 3 }, detail: { scale: 0.5, stop: 0.5 } } });
    const plan = planWith({ guidance: built });
    expect(plan.steps.map(({ weights }) => weights)).toEqual(named.steps.map(({ weights }) => weights));
    expect(plan.edits).toEqual(named.edits);
  });
});

describe('presets', () => {
  test.each(presetNames)('%s', (guidance) => {
    const plan = planWith({ guidance, numInferenceSteps: 20 });
    for (const { weights } of plan.steps) expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 12);
  });

  test("take the bundle's own options where it has them", () => {
    const { classifierFree } = embeddedManifest().defaults!.guidance as { classifierFree: { scale: number } };
    expect(planWith({ guidance: 'cfg' }).guidance.classifierFree!.scale).toBe(classifierFree.scale);
  });

  test('an unknown one names those there are', () => {
    const error = errorOf(() => planWith({ guidance: 'details' as 'detail' }));
    expect(error).toMatchObject({ code: 'BAD_OPTION', message: expect.stringMatching(/'detail\+cfg'/) });
  });
});

describe('explain', () => {
  const floor = (depth: number, layers: number) => (2 + (layers - depth) / layers) / 2;

  test('CFG + DG after block m of L costs (2 + (L − m) / L) / 2 of plain CFG', () => {
    for (const layer of [1, 4, 7]) {
      const plan = planWith({ guidance: { classifierFree: { scale: 3 }, detail: { layer } } });
      // The output of block 1 is what has been computed after 2 blocks.
      expect(explain(plan).costOverClassifierFree).toBeCloseTo(floor(layer + 1, 8), 12);
    }
    const plan = planWith({ guidance: { classifierFree: { scale: 3 }, detail: {} }, partialForward: false });
    expect(explain(plan).costOverClassifierFree).toBe(1.5);
  });

  test('an edit inside a block shares what comes before the block', () => {
    const plan = planWith({ guidance: { pag: { layers: 3 } } });
    expect(plan.branches.map(({ untouched }) => untouched)).toEqual([8, 3]);
    expect(explain(plan).steps[0]).toMatchObject({ rows: 2, blocks: 8 + 5, blocksUnshared: 16 });
  });

  test('says it in words, step by step', () => {
    const guidance: GuidanceOptions = {
      classifierFree: { scale: 3, stop: 0.5 },
      detail: { layer: 3, channels: [1] },
      rescale: {},
    };
    expect(explain(planWith({ guidance })).text).toMatchInlineSnapshot(`
     "1 image, 4 steps of flow-match-euler, 4 evaluations of 8 blocks
     evaluations 0 to 1: 3 rows, 20 blocks (24 without sharing)
       + 3.3 · conditional: 8 of 8 blocks
       − 2 · unconditional: 8 of 8 blocks
       − 0.3 · detail-deficient (layer 3, channels 1): 4 of 8 blocks, the rest shared
       then rescale
     evaluations 2 to 3: 2 rows, 12 blocks (16 without sharing)
       + 1.3 · conditional: 8 of 8 blocks
       − 0.3 · detail-deficient (layer 3, channels 1): 4 of 8 blocks, the rest shared
       then rescale
     64 blocks an image in all, 1.000 of plain classifier-free guidance"
    `);
  });

  test('layers are counted for any number of blocks', () => {
    const model = plannedModel(embeddedManifest(), 12);
    expect(explain(planWith({ guidance: { detail: { layer: 5 } } }, model)).steps[0]!.blocks).toBe(12 + 6);
  });
});
