import { describe, expect, test } from '@jest/globals';

import type { Edit, GuidanceOptions } from '../../lib/guidance';
import { editContext, explain, type Plan } from '../../lib/plan';
import { matches } from '../../lib/plan/depth';
import { conditioningTensors } from '../../lib/request/conditioning';
import { forwardSchema, resolveHook } from '../../lib/request/forwardOptions';
import { parse } from '../../lib/validation/parse';

import { embeddedManifest, errorOf, plannedModel, planWith } from './model';

const names = (plan: Plan) => plan.branches.map(({ name }) => name.replace(/ \(.*/, ''));
const guided = (guidance: GuidanceOptions, numInferenceSteps = 4) => planWith({ guidance, numInferenceSteps });
const rounded = (plan: Plan) => plan.steps.map(({ weights }) => weights.map((weight) => Number(weight.toFixed(9))));

describe('branches and weights', () => {
  test('1. no guidance is the conditional prediction alone', () => {
    const plan = guided({});
    expect(names(plan)).toEqual(['conditional']);
    expect(rounded(plan)).toEqual([[1], [1], [1], [1]]);
    expect(plan.edits).toEqual([]);
  });

  test('2. classifier-free guidance: s and 1 − s', () => {
    const plan = guided({ classifierFree: { scale: 4 } });
    expect(names(plan)).toEqual(['conditional', 'unconditional']);
    expect(rounded(plan)[0]).toEqual([4, -3]);
  });

  test('3. Detail Guidance: 1 + w and −w, the massive channels of the recorded layer zeroed', () => {
    const { massiveActivations } = embeddedManifest();
    const plan = guided({ detail: { scale: 0.5 } });
    expect(names(plan)).toEqual(['conditional', 'detail-deficient']);
    expect(rounded(plan)[0]).toEqual([1.5, -0.5]);
    expect(plan.edits).toEqual([
      {
        path: `blocks.${massiveActivations!.layer}`,
        tap: 'output',
        stream: 'image',
        operation: 'retain',
        channels: massiveActivations!.channels,
        tokens: null,
        retention: [0, 0, 0, 0],
      },
    ]);
  });

  test('4. together: 1 + λ + w, −λ, −w', () => {
    const plan = guided({ classifierFree: { scale: 3 }, detail: { scale: 0.5 } });
    expect(names(plan)).toEqual(['conditional', 'unconditional', 'detail-deficient']);
    expect(rounded(plan)[0]).toEqual([3.5, -2, -0.5]);
  });

  test('5. windows: step i of n is inside when start ≤ i / n < stop', () => {
    const plan = guided({ classifierFree: { scale: 2, stop: 0.5 }, detail: { scale: 1, start: 0.25, stop: 0.75 } });
    expect(rounded(plan)).toEqual([
      [2, -1, 0],
      [3, -1, -1],
      [2, 0, -1],
      [1, 0, 0],
    ]);
  });

  test('6. several degraded branches, equal ones are one', () => {
    const plan = guided({
      detail: [
        { scale: 0.5, layer: 2 },
        { scale: 0.25, layer: 5, retention: 0.5 },
        { scale: 0.5, layer: 2 },
      ],
    });
    expect(plan.branches).toHaveLength(3);
    expect(rounded(plan)[0]).toEqual([2.25, -1, -0.25]);
  });

  test('6b. branches that differ have names that differ', () => {
    const plan = guided({
      detail: [1, 2, 3].map((retention) => ({ scale: 0.1, layer: 2, channels: [1], retention: retention / 4 })),
      branches: [
        { name: 'detail-deficient (layer 2, channels 1) (2)', weight: 0.5 },
        { name: 'mine', weight: 0.25, edits: [{ operation: 'shuffle', layer: 1 }] },
        { name: 'mine', weight: 0.25, edits: [{ operation: 'shuffle', layer: 2 }] },
      ],
    });
    expect(plan.branches.map(({ name }) => name)).toEqual([
      'detail-deficient (layer 2, channels 1) (2)',
      'mine',
      'mine (2)',
      'detail-deficient (layer 2, channels 1)',
      'detail-deficient (layer 2, channels 1) (3)',
      'detail-deficient (layer 2, channels 1) (4)',
    ]);
  });

  test('7. the disrupted model itself leaves no conditional branch', () => {
    const plan = guided({ disrupt: { layer: 3, channels: [1, 2] } });
    expect(names(plan)).toEqual(['detail-deficient']);
    expect(rounded(plan)).toEqual([[1], [1], [1], [1]]);
  });

  test('8. a technique of weight 0 costs no branch', () => {
    expect(names(guided({ classifierFree: { scale: 1 }, detail: { scale: 0 } }))).toEqual(['conditional']);
    expect(names(guided({ classifierFree: { scale: 0 } }))).toEqual(['unconditional']);
  });

  test('9. Heun: both evaluations of a step are in the same window', () => {
    const plan = planWith({
      guidance: { classifierFree: { scale: 2, stop: 0.5 } },
      scheduler: { kind: 'flow-match-heun' },
    });
    expect(rounded(plan).map(([, weight]) => weight)).toEqual([-1, -1, -1, -1, 0, 0, 0]);
  });

  test('10. without guidance the defaults of the bundle apply', () => {
    expect(names(planWith({}))).toEqual(['conditional', 'unconditional', 'detail-deficient']);
  });
});

describe('neighbouring techniques', () => {
  const techniques: GuidanceOptions[] = [
    { slg: { start: 0, stop: 0.5 } },
    { pag: {} },
    { seg: {} },
    { tpg: {} },
    { s2: {} },
    { blur: {} },
    { detail: { control: { kind: 'matched-channels' } } },
    { detail: { control: { kind: 'random-tokens' } } },
    { classifierFree: {}, apg: {} },
    { classifierFree: {}, cfgZeroStar: {} },
    { classifierFree: {}, rescale: {} },
  ];

  test.each(techniques.map((guidance) => [Object.keys(guidance).join(' + '), guidance] as const))(
    '%s: the weights of every step add up to 1',
    (_name, guidance) => {
      const plan = guided(guidance, 10);
      for (const { weights } of plan.steps) {
        expect(weights).toHaveLength(plan.branches.length);
        expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 12);
      }
    },
  );

  test('published layers are carried over by relative depth', () => {
    expect(guided({ slg: { start: 0, stop: 0.5 } }).edits.map(({ path }) => path)).toEqual(['blocks.2', 'blocks.3']);
    const large = planWith({ guidance: { slg: { start: 0, stop: 0.5 } } }, plannedModel(embeddedManifest(), 24));
    expect(large.edits.map(({ path }) => path)).toEqual(['blocks.7', 'blocks.8', 'blocks.9']);
  });

  test('skip layer guidance is on after its start, as in diffusers: not at the step that it names', () => {
    const on = (start: number) =>
      planWith({ guidance: { slg: { start, stop: 0.5 } }, numInferenceSteps: 10 }).steps.map(
        ({ weights }) => weights.filter((weight) => weight !== 0).length > 1,
      );
    const steps = (wanted: number[]) => Array.from({ length: 10 }, (_, step) => wanted.includes(step));
    expect(on(0)).toEqual(steps([1, 2, 3, 4]));
    expect(on(0.1)).toEqual(steps([2, 3, 4]));
    expect(on(0.05)).toEqual(steps([1, 2, 3, 4]));
  });

  test('attention edits sit on the attention inside the block', () => {
    expect(guided({ pag: { layers: 4 } }).edits).toMatchObject([{ path: 'blocks.4.attention', operation: 'identity' }]);
    const [blur] = guided({ seg: { layers: 4 } }).edits;
    expect(blur).toMatchObject({ operation: 'blur', sigma: Infinity, grid: [7, 7] });
  });

  test('S² skips other blocks in other steps, the same ones for the same seed', () => {
    const skipped = (seed: number) => guided({ s2: { seed } }, 20).steps.map(({ weights }) => weights.indexOf(-0.25));
    expect(new Set(skipped(0)).size).toBeGreaterThan(2);
    expect(skipped(0)).toEqual(skipped(0));
    expect(skipped(0)).not.toEqual(skipped(1));
  });

  test('the magnitude-matched control moves as many other channels', () => {
    const [edit] = guided({ detail: { channels: [3, 7], control: { kind: 'matched-channels', seed: 1 } } }).edits;
    expect(edit).toMatchObject({ operation: 'match', reference: [3, 7] });
    expect(edit!.channels).toHaveLength(2);
    for (const channel of edit!.channels!) expect([3, 7]).not.toContain(channel);
  });

  test('its channels are of the middle ranks, where the layer was measured', () => {
    const ranking = new Map([[2, Array.from({ length: 128 }, (_, rank) => 127 - rank)]]);
    const detail = { layer: 2, channels: [127, 126], control: { kind: 'matched-channels' as const, seed: 5 } };
    for (let seed = 0; seed < 20; seed++) {
      const guidance = { detail: { ...detail, control: { ...detail.control, seed } } };
      const [edit] = planWith({ guidance }, { ...plannedModel(), ranking }).edits;
      for (const channel of edit!.channels!) expect(Math.abs(channel - 63.5)).toBeLessThan(32.5);
    }
  });

  test('what is not linear names the branches it is about, where they are evaluated', () => {
    const plan = guided({ classifierFree: { scale: 3, stop: 0.5 }, cfgZeroStar: {}, rescale: { factor: 0.5 } });
    expect(plan.steps.map(({ adjustments }) => adjustments.map(({ kind }) => kind))).toEqual([
      ['project', 'zero', 'rescale'],
      ['project', 'rescale'],
      ['rescale'],
      ['rescale'],
    ]);
    expect(plan.steps[0]!.adjustments[0]).toEqual({ kind: 'project', branch: 1, reference: 0 });
  });

  test.each<GuidanceOptions>([
    { apg: {} },
    { classifierFree: {}, apg: {}, cfgZeroStar: {} },
    { disrupt: {}, rescale: {} },
  ])('refuses what does not go together: %j', (guidance) => {
    expect(errorOf(() => guided(guidance))).toMatchObject({ code: 'BAD_OPTION' });
  });
});

describe('retention', () => {
  const rho = (retention: NonNullable<Exclude<GuidanceOptions['detail'], unknown[]>>['retention']) =>
    planWith({ guidance: { detail: { retention } }, scheduler }).edits[0]!.retention!;
  // σ of 4 steps: 1, 0.667, 0.334, 0.001.
  const scheduler = { timestepSpacing: 'linspace' } as const;
  const times = planWith({ scheduler }).steps.map(({ time }) => time);

  test('constant, linear, cosine, table', () => {
    expect(rho(0.25)).toEqual([0.25, 0.25, 0.25, 0.25]);
    expect(rho({ kind: 'linear', data: 0, noise: 1 })).toEqual(times);
    rho({ kind: 'cosine', data: 1, noise: 0 }).forEach((value, index) => {
      expect(value).toBeCloseTo((1 + Math.cos(Math.PI * times[index]!)) / 2, 12);
    });
    const table = rho({ kind: 'table', times: [0.3, 0.7], values: [0, 1] });
    expect(table[0]).toBe(1);
    expect(table[1]).toBeCloseTo((times[1]! - 0.3) / 0.4, 12);
    expect(table[3]).toBe(0);
  });

  test('a table out of order, or with a value too few', () => {
    for (const times of [[0.5, 0.2], [0.5]]) {
      const retention = { kind: 'table' as const, times, values: [0, 1] };
      expect(errorOf(() => rho(retention))).toMatchObject({ code: 'BAD_OPTION' });
    }
  });
});

describe('tokens', () => {
  const tokens = (value: unknown) => guided({ detail: { tokens: value as never } }).edits[0]!.tokens;
  const half = (rows: number, columns: number) =>
    Array.from({ length: rows }, () => Array.from({ length: columns }, (_, column) => (column < columns / 2 ? 1 : 0)));

  test('indices are sorted and once each', () => {
    expect(tokens([5, 3, 5, 48])).toEqual([3, 5, 48]);
  });

  test('a mask of any size is resized to the grid of 7 × 7', () => {
    // The left half of 28 columns covers tokens 0 to 2 of a row and half of token 3.
    const left = Array.from({ length: 7 }, (_, row) => [0, 1, 2, 3].map((column) => row * 7 + column)).flat();
    expect(tokens(half(28, 28))).toEqual(left);
    expect(tokens(half(10, 1000))).toEqual(left);
    const data = Float32Array.from(half(28, 28).flat());
    expect(tokens({ data, shape: [28, 28], dtype: 'float32' })).toEqual(left);
    expect(tokens([[true]])).toHaveLength(49);
  });

  test.each([
    ['a token beyond the grid', [49], 'TOKEN_OUT_OF_RANGE'],
    ['rows of different lengths', [[1, 0], [1]], 'BAD_TENSOR'],
    ['a tensor of rank 3', { data: new Float32Array(4), shape: [1, 2, 2], dtype: 'float32' }, 'BAD_TENSOR'],
    ['an empty tensor', { data: new Float32Array(0), shape: [0, 2], dtype: 'float32' }, 'BAD_TENSOR'],
    ['a tensor up to 255', { data: Uint8Array.of(0, 255), shape: [1, 2], dtype: 'uint8' }, 'BAD_TENSOR'],
    ['a tensor below 0', { data: Float32Array.of(-1, 1), shape: [1, 2], dtype: 'float32' }, 'BAD_TENSOR'],
    ['a mask that leaves nothing', [[0, 0.2]], 'BAD_OPTION'],
    ['an empty list', [], 'BAD_OPTION'],
  ])('refuses %s', (_name, value, code) => {
    expect(errorOf(() => tokens(value))).toMatchObject({ code });
  });
});

test.each([
  ['blocks.*', 'blocks.3', true],
  ['blocks.*', 'blocks.3.attention', false],
  ['**', 'blocks.3', true],
  ['blocks.**', 'blocks', false],
  ['blocks.**.attention', 'blocks.attention', true],
  [`${'**.'.repeat(60)}attention`, `${'a.'.repeat(60)}b`, false],
])('the pattern %s on %s: %s, as the native side has it', (pattern, path, isMatch) => {
  expect(matches(pattern, path)).toBe(isMatch);
});

describe('what the model has not', () => {
  const branch = (edit: Edit) => ({ guidance: { branches: [{ weight: 1, edits: [edit] }] } });

  test.each<[string, Parameters<typeof planWith>[0], string, RegExp]>([
    ['a layer', { guidance: { detail: { layer: 8 } } }, 'LAYER_OUT_OF_RANGE', /a layer from 0 to 7/],
    ['a channel', { guidance: { detail: { channels: [128] } } }, 'CHANNEL_OUT_OF_RANGE', /0 to 127/],
    ['a stream', { guidance: { detail: { stream: 'text' } } }, 'SITE_NOT_FOUND', /'image'/],
    [
      'a path',
      branch({ operation: 'zero', path: 'block.4' }),
      'SITE_NOT_FOUND',
      /^options\.guidance\.branches\[0\]\.edits\[0\]\.path: expected a path with the tap .* \(the nearest are blocks\.4/,
    ],
    [
      'a tap on a path',
      branch({ operation: 'zero', path: 'blocks.4', tap: 'attention' }),
      'SITE_NOT_FOUND',
      /edits\[0\]\.path: expected a path with the tap 'attention' \(the blocks are 'blocks\.\*'; .*\), received 'blocks\.4'/,
    ],
    [
      'a stream on a path',
      branch({ operation: 'zero', path: 'blocks.*', stream: 'text' }),
      'SITE_NOT_FOUND',
      /edits\[0\]\.stream: expected 'image', received 'text'/,
    ],
    ['a class index', { classLabel: 10 }, 'CLASS_OUT_OF_RANGE', /from 0 to 9 .*'Ankle boot'/],
    ['a class name', { classLabel: 'Sneakers' }, 'CLASS_OUT_OF_RANGE', /did you mean 'Sneaker'/],
    [
      'no class',
      { classLabel: undefined },
      'BAD_OPTION',
      /classLabel: expected a class index from 0 to 9.*, received nothing/,
    ],
    [
      'a window that ends before it begins',
      { guidance: { detail: { start: 0.5, stop: 0.25 } } },
      'BAD_OPTION',
      /^options\.guidance\.detail\.stop: expected a number from start, 0\.5, to 1, received 0\.25/,
    ],
    [
      'a window whose default end is before its beginning',
      { guidance: { slg: { start: 0.3 } } },
      'BAD_OPTION',
      /^options\.guidance\.slg\.stop: expected a number from start, 0\.3, to 1/,
    ],
    ['seed -1', { seed: -1 }, 'BAD_OPTION', /seed: expected .* or nothing for one that is drawn, received -1/],
    ['a number that is not exact', { seed: 2 ** 53 }, 'BAD_OPTION', /a bigint above 2\^53 - 1/],
    ['a seed of 65 bits', { seed: 2n ** 64n }, 'BAD_OPTION', /from 0 to 2\^64 - 1/],
    [
      'latents without rows',
      { latents: { data: new Float32Array(0), shape: [0, 1, 28, 28], dtype: 'float32' } },
      'BAD_TENSOR',
      /latents\.shape: expected a row for each image, received \[0, 1, 28, 28\]/,
    ],
    ['a class too few', { classLabel: [1, 2], numImages: 3 }, 'BAD_OPTION', /one for each of \d images/],
    ['a sampler of another prediction', { scheduler: { kind: 'ddim', eta: 1 } }, 'BAD_OPTION', /flow/],
    ['an unknown sampler', { scheduler: { kind: 'euler' as 'heun' } }, 'BAD_OPTION', /'flow-match-euler'/],
    ['an unknown sampler option', { scheduler: { shifts: 3 } as never }, 'BAD_OPTION', /'shift'/],
  ])('%s', (_name, options, code, message) => {
    expect(errorOf(() => planWith(options))).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test('massive activations, when the bundle records none', () => {
    const bundle = embeddedManifest();
    delete bundle.massiveActivations;
    const error = errorOf(() => planWith({ guidance: { detail: {} } }, plannedModel(bundle)));
    expect(error).toMatchObject({ code: 'BAD_OPTION', message: expect.stringMatching(/records no massive/) });
  });
});

test('class names are found whatever their case, and one class serves all images', () => {
  expect(planWith({ classLabel: 'ankle BOOT', numImages: 3 }).classes).toEqual([9, 9, 9]);
  expect(planWith({ classLabel: ['Bag', 1] })).toMatchObject({ images: 2, classes: [8, 1] });
});

test('another sampler keeps the training schedule', () => {
  const plan = planWith({ scheduler: { kind: 'dpm-solver++' } });
  expect(plan.scheduler).toMatchObject({ kind: 'dpm-solver++', timestepScale: 1, flowShift: 1 });
  expect(plan.steps[0]!.timestep).toBeCloseTo(0.999, 9);
});

test('another sampler keeps the shift of flow matching, whatever it calls it', () => {
  const bundle = embeddedManifest();
  const scheduler = { kind: 'unipc' as const, numTrainTimesteps: 1000, flowShift: 5 };
  const model = plannedModel({ ...bundle, scheduler });
  for (const kind of ['flow-match-euler', 'flow-match-heun'] as const)
    expect(planWith({ scheduler: { kind } }, model).scheduler).toMatchObject({ kind, shift: 5 });
  expect(planWith({ scheduler: { kind: 'dpm-solver++' } }, model).scheduler).toMatchObject({ flowShift: 5 });
  const shifted = plannedModel({ ...bundle, scheduler: { kind: 'flow-match-euler', shift: 3 } });
  expect(planWith({ scheduler: { kind: 'unipc' } }, shifted).scheduler).toMatchObject({ flowShift: 3 });
});

test('an option of the sampler that is undefined is the bundle’s', () => {
  const scheduler = { kind: undefined, timestepScale: undefined, shift: 2 } as never;
  expect(planWith({ scheduler }).scheduler).toEqual(planWith({ scheduler: { shift: 2 } }).scheduler);
  const other = { kind: 'dpm-solver++', timestepScale: undefined } as never;
  expect(planWith({ scheduler: other }).scheduler).toMatchObject({ kind: 'dpm-solver++', timestepScale: 1 });
});

describe('step reuse', () => {
  const reusedSteps = (guidance: GuidanceOptions, branch: number) =>
    guided(guidance, 8).steps.flatMap(({ reuse }, index) => (reuse[branch] ? [index] : []));

  test('every n-th step is computed, and the first and the last', () => {
    expect(reusedSteps({ detail: { scale: 0.5, reuse: 3 } }, 1)).toEqual([1, 2, 4, 5]);
    expect(reusedSteps({ detail: { scale: 0.5, reuse: 100 } }, 1)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(reusedSteps({ detail: { scale: 0.5, reuse: 2, start: 0.25, stop: 0.75 } }, 1)).toEqual([3]);
  });

  test('one state a branch, each with its reference', () => {
    const guidance = { classifierFree: { scale: 3, reuse: 2 }, detail: { scale: 0.5, reuse: 4 } };
    expect(guided(guidance).branches.map(({ reference }) => reference)).toEqual([null, 0, 0]);
    expect(reusedSteps(guidance, 1)).toEqual([1, 3, 5]);
    expect(reusedSteps(guidance, 2)).toEqual([1, 2, 3, 5, 6]);
  });

  test('while the model changes little', () => {
    const [, branch] = guided({ detail: { reuse: { threshold: 0.1 } } }).branches;
    expect(branch).toMatchObject({ reference: 0, adaptiveReuse: { path: 'blocks.0.attention', threshold: 0.1 } });
    const two = guided({ detail: [{ layer: 2, reuse: { threshold: 0.1 } }, { layer: 2 }] });
    expect(two.branches[1]).toMatchObject({ reference: null, adaptiveReuse: null });
  });

  test('costs what is computed', () => {
    const plan = guided({ classifierFree: { scale: 3 }, detail: { layer: 3, reuse: 2 } }, 8);
    const { blocks, text } = explain(plan);
    // The degraded branch is computed in steps 0, 2, 4, 6 and 7.
    expect(blocks).toBe(8 * 16 + 5 * 4);
    expect(text).toMatch(/its difference is reused/);
  });
});

test('an edit may say that it is at the place without a stream', () => {
  const edits = [{ operation: 'zero', stream: null }, { operation: 'zero' }];
  const { hooks } = parse(forwardSchema, { hooks: [{ path: 'blocks.1', stream: 'image', edits }] }, 'options');
  const resolved = resolveHook('options.hooks[0]', hooks[0]!, editContext(plannedModel(), [7, 7]));
  expect(resolved.map(({ stream }) => stream)).toEqual([null, 'image']);
});

test('an unknown input is named where it was given', () => {
  const tensor = { data: new Float32Array(1), shape: [1, 1], dtype: 'float32' as const };
  const refused = (given: object) =>
    errorOf(() => conditioningTensors('conditional', given, 1, [0], embeddedManifest())).message;
  expect(refused({ conditioning: { txt: tensor } })).toMatch(/^options\.conditioning\.txt/);
  expect(refused({ negativeConditioning: { txt: tensor } })).toMatch(/^options\.negativeConditioning\.txt/);
});
