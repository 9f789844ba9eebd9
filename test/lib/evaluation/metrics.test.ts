/** The metrics where the right answer is known by thinking; against scipy they are in test/parity/evaluation.test.ts. */
import { describe, expect, test } from '@jest/globals';

import { estimate, quantile } from '../../../lib/evaluation/bootstrap';
import { compare, referenceOf } from '../../../lib/evaluation/comparison';
import { firstRows, type Features } from '../../../lib/evaluation/features';
import { bandSigma, fidelity, psnr, signalToNoise, splitBands } from '../../../lib/evaluation/fidelity';
import { frechetDistance, gaussianOf } from '../../../lib/evaluation/frechet';
import { groupedMoments, jackknifeError } from '../../../lib/evaluation/jackknife';
import { kernelDistance } from '../../../lib/evaluation/kernelDistance';
import { momentsOf } from '../../../lib/evaluation/moments';
import { distanceNames } from '../../../lib/evaluation/distanceNames';
import { Pace } from '../../../lib/evaluation/pace';
import { manifoldOf, precisionAndRecall } from '../../../lib/evaluation/precisionRecall';
import { ringFrequencies, spectrumDistance, spectrumOf } from '../../../lib/evaluation/spectrum';
import { uniform } from '../../../lib/guidance/seededDraw';

const pace = new Pace();

/** Independent Gaussians. */
function gaussians(count: number, width: number, seed: number, mean = 0, deviation = 1): Features {
  const random = uniform(seed);
  const values = Float32Array.from({ length: count * width }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    return mean + deviation * radius * Math.cos(2 * Math.PI * random());
  });
  return { values, count, width };
}

const moved = (set: Features, factor: number, shift: number): Features => ({
  ...set,
  values: set.values.map((value) => factor * value + shift),
});

describe('Fréchet distance', () => {
  const set = gaussians(500, 6, 1);

  test('is 0 to itself', async () => {
    const moments = await momentsOf(set, pace);
    expect(frechetDistance(gaussianOf(moments), moments)).toBeCloseTo(0, 9);
  });

  test('of a shifted set is the squared shift', async () => {
    const other = await momentsOf(moved(set, 1, 0.5), pace);
    expect(frechetDistance(gaussianOf(await momentsOf(set, pace)), other)).toBeCloseTo(6 * 0.25, 5);
  });

  test('of a set twice as wide is what the formula leaves: tr Σ, and the mean', async () => {
    const moments = await momentsOf(set, pace);
    const trace = moments.mean.reduce((sum, _, index) => sum + moments.scatter[index * 7]! / 499, 0);
    const mean = moments.mean.reduce((sum, value) => sum + value ** 2, 0);
    const other = await momentsOf(moved(set, 2, 0), pace);
    // tr (Σ + 4Σ − 2 · 2Σ) = tr Σ
    expect(frechetDistance(gaussianOf(moments), other)).toBeCloseTo(trace + mean, 4);
  });

  test('survives fewer images than features', async () => {
    const few = gaussians(5, 6, 2);
    const moments = await momentsOf(few, pace);
    expect(frechetDistance(gaussianOf(moments), moments)).toBeCloseTo(0, 7);
  });

  test('needs two images, and finite features', async () => {
    const one = await momentsOf(gaussians(1, 6, 2), pace);
    expect(() => gaussianOf(one)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }));
    const broken = await momentsOf(moved(set, NaN, 0), pace);
    expect(() => gaussianOf(broken)).toThrow(expect.objectContaining({ code: 'BAD_TENSOR' }));
  });
});

test('the jackknife of a mean is its standard error', async () => {
  const set = gaussians(400, 1, 3);
  const { all, without } = await groupedMoments(set, 400, pace);
  // 400 groups would leave one image in each; at most half as many are made.
  expect(without).toHaveLength(200);
  expect(all.count).toBe(400);
  const error = jackknifeError(without.map(({ mean }) => mean[0]!))!;
  expect(error).toBeCloseTo(1 / Math.sqrt(400), 2);
  expect((await groupedMoments(set, 0, pace)).without).toEqual([]);
  expect(jackknifeError([])).toBeNull();
});

describe('kernel distance', () => {
  const options = { subsets: 20, subsetSize: 100, seed: 0 };

  test('of sets of one distribution is 0 within its error', async () => {
    const { distance, standardError } = await kernelDistance(gaussians(600, 4, 4), gaussians(600, 4, 5), options, pace);
    expect(Math.abs(distance)).toBeLessThan(4 * standardError);
  });

  test('grows with the distance, and repeats', async () => {
    const [reference, other] = [gaussians(600, 4, 4), gaussians(600, 4, 5, 1)];
    const { distance, standardError } = await kernelDistance(reference, other, options, pace);
    expect(distance).toBeGreaterThan(10 * standardError);
    expect(await kernelDistance(reference, other, options, pace)).toMatchObject({ distance });
  });

  test('takes no more than there are', async () => {
    const { subsetSize } = await kernelDistance(gaussians(40, 4, 4), gaussians(60, 4, 5), options, pace);
    expect(subsetSize).toBe(40);
  });

  test('refuses features of two networks', async () => {
    await expect(kernelDistance(gaussians(9, 4, 1), gaussians(9, 5, 1), options, pace)).rejects.toMatchObject({
      code: 'BAD_TENSOR',
    });
  });
});

describe('precision and recall', () => {
  const options = { neighbours: 3, images: 1000 };
  const pr = async (reference: Features, generated: Features) =>
    precisionAndRecall(
      await manifoldOf(reference, options, pace),
      await manifoldOf(generated, options, pace),
      options.neighbours,
      pace,
    );

  test('are 1 for the same images and 0 for images far away', async () => {
    const set = gaussians(200, 3, 6);
    expect(await pr(set, set)).toMatchObject({ precision: 1, recall: 1, images: 200 });
    expect(await pr(set, moved(set, 1, 100))).toMatchObject({ precision: 0, recall: 0 });
  });

  test('a set that keeps to the middle is faithful and covers little', async () => {
    const { precision, recall } = await pr(gaussians(300, 3, 6), gaussians(300, 3, 7, 0, 0.2));
    expect(precision).toBeGreaterThan(0.95);
    expect(recall).toBeLessThan(0.3);
  });

  test.each([
    [300, 100],
    [100, 300],
  ])('of %d and %d are over as many images of each, the first ones', async (real, samples) => {
    const [reference, generated] = [gaussians(real, 3, 6), gaussians(samples, 3, 7, 0, 0.6)];
    const measured = (features: Features) => {
      const highShares = new Float32Array(features.count).fill(0.1);
      return { features, scores: null, radial: gaussians(features.count, 4, 8, 9, 0.1), highShares };
    };
    const kernel = { subsets: 2, subsetSize: 20 };
    const request = { kernel, manifold: options, samples, errorGroups: 0, seed: 0, signal: undefined };
    const known = await referenceOf(measured(reference), null, request);
    const { precisionRecall } = await compare(known, measured(generated), null, request);
    expect(precisionRecall).toEqual(await pr(firstRows(reference, 100), firstRows(generated, 100)));
    expect(precisionRecall.images).toBe(100);
  });

  test('need more images than neighbours', async () => {
    await expect(manifoldOf(gaussians(3, 3, 6), options, pace)).rejects.toMatchObject({ code: 'BAD_OPTION' });
  });
});

describe('bootstrap', () => {
  test('the interval of a mean is that of theory, and repeats', () => {
    const { values } = gaussians(900, 1, 8, 5, 3);
    const { value, low, high } = estimate([values]);
    expect(value).toBeCloseTo(5, 0);
    // ± 1.96 · 3 / √900
    expect(high - low).toBeCloseTo(2 * 0.196, 1);
    expect(estimate([values])).toEqual({ value, low, high });
    expect(estimate([values], undefined, { seed: 1 })).not.toEqual({ value, low, high });
  });

  test('observations are drawn as a whole: the ratio of equal columns does not vary', () => {
    const { values } = gaussians(50, 1, 8, 5, 3);
    expect(estimate([values, values], ([a, b]) => a! / b!)).toEqual({ value: 1, low: 1, high: 1 });
  });

  test('quantiles interpolate', () => {
    expect(quantile([0, 10], 0.25)).toBe(2.5);
    expect(quantile([3, Infinity, Infinity], 0.75)).toBe(Infinity);
  });
});

describe('spectrum', () => {
  const wave = (cycles: number) => ({
    values: Float64Array.from(
      { length: 32 * 32 },
      (_, place) => 0.5 + 0.4 * Math.sin(2 * Math.PI * cycles * (place % 32)),
    ),
    height: 32,
    width: 32,
  });

  test('a wave is in the ring of its frequency', () => {
    for (const ring of [3, 7, 11]) {
      const { radial } = spectrumOf(wave(ringFrequencies(16)[ring]!), 0.25);
      expect(radial.indexOf(Math.max(...radial))).toBe(ring);
    }
  });

  test('the share of high frequencies tells slow waves from fast ones', () => {
    expect(spectrumOf(wave(0.125), 0.25).highShare).toBeLessThan(0.01);
    expect(spectrumOf(wave(0.375), 0.25).highShare).toBeGreaterThan(0.98);
  });

  test('a flat picture has none', () => {
    expect(spectrumOf({ values: new Float64Array(28 * 28).fill(0.3), height: 28, width: 28 }, 0.25).highShare).toBe(0);
  });

  test('ten times the power is 10 dB away', () => {
    expect(spectrumDistance([10, 20, 30], [1, 2, 3])).toBeCloseTo(10, 9);
  });
});

describe('fidelity', () => {
  const random = uniform(9);
  const picture = { values: Float64Array.from({ length: 28 * 28 }, () => random()), height: 28, width: 28 };

  test('of a picture to itself', () => {
    const { squaredError, ssim } = fidelity(picture, picture);
    expect(psnr(squaredError)).toBe(Infinity);
    expect(ssim).toBeCloseTo(1, 12);
  });

  test('a constant added is 20 dB at a tenth, and only in the low band', () => {
    const brighter = { ...picture, values: picture.values.map((value) => value + 0.1) };
    expect(psnr(fidelity(brighter, picture).squaredError)).toBeCloseTo(20, 9);
    const [now, before] = [splitBands(brighter, 0.25), splitBands(picture, 0.25)];
    expect(fidelity(now.high, before.high).squaredError).toBeCloseTo(0, 20);
    expect(fidelity(now.low, before.low).squaredError).toBeCloseTo(0.01, 9);
  });

  test('the bands add up to the picture, and the Gaussian is at one half at the cutoff', () => {
    const { low, high } = splitBands(picture, 0.25);
    low.values.forEach((value, place) => expect(value + high.values[place]!).toBeCloseTo(picture.values[place]!, 12));
    expect(Math.exp(-2 * (Math.PI * bandSigma(0.1) * 0.1) ** 2)).toBeCloseTo(0.5, 12);
    expect(signalToNoise(100, 1)).toBe(20);
  });

  test('refuses other sizes, and pictures under the window', () => {
    const small = { values: new Float64Array(100), height: 10, width: 10 };
    expect(() => fidelity(small, small)).toThrow(expect.objectContaining({ code: 'BAD_TENSOR' }));
    expect(() => fidelity(small, picture)).toThrow(expect.objectContaining({ code: 'BAD_TENSOR' }));
  });
});

test('distances are called after their features, FID only for Inception-v3', () => {
  expect(distanceNames('inception-v3')).toEqual({ frechet: 'FID', kernel: 'KID' });
  expect(distanceNames('classifier-features').frechet).toBe('Fréchet distance (classifier-features)');
  expect(distanceNames('my-inception').frechet).not.toMatch(/FID/);
});

test('long arithmetic gives way to an abort', async () => {
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 50);
  const many = gaussians(20_000, 8, 1);
  await expect(manifoldOf(many, { neighbours: 3, images: 20_000 }, new Pace(controller.signal))).rejects.toMatchObject({
    code: 'ABORT_ERR',
  });
});
