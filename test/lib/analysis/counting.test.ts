/** The arithmetic of the analyses, on numbers whose answers are known. */
import { describe, expect, test } from '@jest/globals';

import { varianceShares } from '../../../lib/analysis/anova';
import { chooseConditions } from '../../../lib/analysis/conditions';
import { classCorrespondence, partCorrespondence } from '../../../lib/analysis/correspondence';
import { compareBands } from '../../../lib/analysis/detailBands';
import { judgeLayer } from '../../../lib/analysis/massiveRule';
import { drawMap, selectivity, spatialMap } from '../../../lib/analysis/spatialMap';
import { jaccard, lowerMedian, meanJaccard, median, ranks, spearman } from '../../../lib/analysis/statistics';
import type { Bundle, BundleInput, InputRole } from '../../../lib/bundle';
import type { Tensor } from '../../../lib/tensor';
import { errorOf } from '../model';

const floats = (values: number[], shape: number[]): Tensor => ({
  data: Float32Array.from(values),
  shape,
  dtype: 'float32',
});

describe('what a model is looked at under, when the caller names nothing', () => {
  const input = (role: InputRole): BundleInput => ({ name: role, role, dtype: 'float', shape: ['batch'] });
  const bundle = (...roles: InputRole[]) =>
    ({ conditioning: { kind: 'tensors' }, transformer: { inputs: roles.map(input) } }) as unknown as Bundle;

  test('nothing, for a model that takes nothing', () =>
    expect(chooseConditions(undefined, bundle('latent', 'timestep', 'guidance'))).toEqual([{}]));

  test('a program has to give tensors', () =>
    expect(errorOf(() => chooseConditions(undefined, bundle('latent', 'timestep', 'text')))).toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringMatching(/tensors for text: only a program can give 'conditioning'/) as unknown,
    }));
});

describe('order statistics', () => {
  test('medians', () => {
    expect([median([4, 1, 3, 2]), lowerMedian([4, 1, 3, 2]), median([5, 1, 9])]).toEqual([2.5, 2, 5]);
    expect(median([])).toBeNaN();
  });

  test('equal values share a rank', () => expect([...ranks([10, 20, 20, 5])]).toEqual([2, 3.5, 3.5, 1]));

  test('rank correlation sees the order alone, and is unknown where nothing varies', () => {
    expect(spearman([1, 2, 3, 4], [1, 10, 100, 1000])).toBeCloseTo(1, 12);
    expect(spearman([1, 2, 3, 4], [4, 3, 2, 1])).toBeCloseTo(-1, 12);
    // scipy.stats.spearmanr([1, 2, 2, 4, 5], [3, 1, 4, 2, 5])
    expect(spearman([1, 2, 2, 4, 5], [3, 1, 4, 2, 5])).toBeCloseTo(0.35909242322980395, 12);
    expect(spearman([1, 1, 1], [1, 2, 3])).toBeNaN();
  });

  test('agreement of sets', () => {
    expect([jaccard([1, 2], [2, 3]), jaccard([], []), jaccard([1], [])]).toEqual([1 / 3, 1, 0]);
    expect(meanJaccard([[1], [1], [2]])).toBeCloseTo(1 / 3, 12);
  });
});

describe('variance explained', () => {
  test('by the factor that alone moves the values', () => {
    const shares = varianceShares([
      [[1], [1], [1]],
      [[5], [5], [5]],
    ]);
    expect(shares).toEqual({ first: 1, second: 0, interaction: 0, residual: 0 });
  });

  test('is split among factors, interaction and repetitions', () => {
    // By hand: grand mean 4; rows 2, 6; columns 3, 5; cells without an effect of their own; repetitions ±1.
    const shares = varianceShares([
      [
        [0, 2],
        [2, 4],
      ],
      [
        [4, 6],
        [6, 8],
      ],
    ]);
    expect(shares).toEqual({ first: 32 / 48, second: 8 / 48, interaction: 0, residual: 8 / 48 });
  });

  test('nothing varies', () => expect(varianceShares([[[3]], [[3]]]).first).toBe(0));

  test('cells of different sizes are refused', () => {
    expect(errorOf(() => varianceShares([[[1], [1, 2]]])).code).toBe('BAD_OPTION');
  });
});

describe('the rule', () => {
  const rule = { threshold: 3, share: 0.1, timesteps: 0.5 };
  const ones = Array.from({ length: 9 }, () => 1);

  test('a channel that is strong at every token is massive', () => {
    const at = [...ones, 5];
    expect(judgeLayer([at, at], [at, at], rule).massive).toEqual([9]);
  });

  test('one that is strong at a single token is not', () => {
    const judged = judgeLayer([[...ones, 5]], [[...ones, 1]], rule);
    expect([judged.massive, judged.atSingleTokens]).toEqual([[], [9]]);
  });

  test('one that passes at too few timesteps is not', () => {
    const strong = [...ones, 5];
    const weak = [...ones, 1];
    expect(judgeLayer([strong, weak, weak], [strong, weak, weak], rule).massive).toEqual([]);
  });

  test('one that a far stronger channel dwarfs is not, unless the share says so', () => {
    const at = [...ones, 5, 100];
    expect(judgeLayer([at], [at], rule).massive).toEqual([10]);
    expect(judgeLayer([at], [at], { ...rule, share: 0 }).massive).toEqual([10, 9]);
  });

  test('a dead stream has none', () => expect(judgeLayer([[0, 0, 0]], [[0, 0, 0]], rule).massive).toEqual([]));
});

describe('a channel over the picture', () => {
  const hidden = floats([0, 1, 0, 2, 0, 3, 0, 4], [4, 2]);

  test('is the channel at the image tokens, row by row', () => {
    expect(spatialMap(hidden, 1, [2, 2])).toEqual({ height: 2, width: 2, values: Float32Array.of(1, 2, 3, 4) });
  });

  test('text tokens are left out, at either end', () => {
    expect([...spatialMap(hidden, 1, [1, 2]).values]).toEqual([3, 4]);
    expect([...spatialMap(hidden, 1, [1, 2], 'image-first').values]).toEqual([1, 2]);
  });

  test('which is not there, or of a hidden state that is too small', () => {
    expect(errorOf(() => spatialMap(hidden, 2, [2, 2])).code).toBe('CHANNEL_OUT_OF_RANGE');
    expect(errorOf(() => spatialMap(hidden, 0, [3, 3])).code).toBe('BAD_TENSOR');
  });

  test('is drawn in colours, NaN in one that no map has', () => {
    const { width, height, pixels } = drawMap({ height: 1, width: 3, values: Float32Array.of(0, 1, NaN) }, { zoom: 2 });
    expect([width, height]).toEqual([6, 2]);
    expect([...pixels.slice(0, 3)]).toEqual([68, 1, 84]);
    expect([...pixels.slice(6, 9)]).toEqual([253, 231, 37]);
    expect([...pixels.slice(12, 15)]).toEqual([255, 0, 255]);
  });

  test('is selective when few tokens stand out', () => {
    const map = (values: number[]) => ({ height: 1, width: values.length, values: Float32Array.from(values) });
    expect(selectivity(map([1, 2, 1, 2, 1, 2, 90]))).toEqual({ selectivity: 60, outliers: [6] });
    expect(selectivity(map([3, 3, 3, 3]))).toEqual({ selectivity: 1, outliers: [] });
    expect(selectivity(map([2, -8, 4, 2]), [1]).selectivity).toBe(4);
  });
});

describe('bands of a picture', () => {
  const checkered = floats(
    Array.from({ length: 64 }, (_, index) => (index + Math.floor(index / 8)) % 2),
    [1, 1, 8, 8],
  );
  const ramp = floats(
    Array.from({ length: 64 }, (_, index) => index % 8),
    [1, 1, 8, 8],
  );

  test('a change of the texture is one of the detail', () => {
    const sum = floats(
      Array.from(checkered.data as Float32Array, (value, index) => value + (index % 8)),
      [1, 1, 8, 8],
    );
    const { detailEnergy, detailChange, coarseChange } = compareBands(sum, ramp);
    expect(detailEnergy).toBeLessThan(0.5);
    expect(detailChange).toBeGreaterThan(10 * coarseChange);
  });

  test('a change of the brightness is none of the detail', () => {
    const brighter = floats(
      Array.from(ramp.data as Float32Array, (value) => value + 1),
      [1, 1, 8, 8],
    );
    expect(compareBands(ramp, brighter).detailChange).toBeCloseTo(0, 12);
  });
});

describe('correspondence', () => {
  test('of classes: the nearest other picture', () => {
    const features = floats([1, 0, 0.9, 0.1, 0, 1, 0.1, 0.9], [4, 1, 2]);
    expect(classCorrespondence(features, [0, 0, 1, 1])).toEqual({ accuracy: 1, chance: 1 / 3 });
    expect(classCorrespondence(features, [0, 1, 0, 1]).accuracy).toBe(0);
    expect(errorOf(() => classCorrespondence(features, [0, 1])).code).toBe('BAD_TENSOR');
  });

  test('of parts: where they went, or where they were', () => {
    const one = floats([1, 0, 0, 0, 1, 0, 0, 0, 1], [1, 3, 3]);
    const gone = floats([0, 0, 0.1, 1, 0, 0, 0, 1, 0], [1, 3, 3]);
    expect(partCorrespondence(one, gone, [1, 3], 1, [[0, 1, 2]])).toEqual({ accuracy: 1, stayed: 0, tokens: 2 });
    expect(partCorrespondence(one, one, [1, 3], 1, [[0, 1, 2]])).toEqual({ accuracy: 0, stayed: 1, tokens: 2 });
  });
});
