/** The metrics against numpy and scipy (reference/metrics.py), on the same numbers, to 1e-6. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Features } from '../../lib/evaluation/features';
import { bands, fidelity, splitBands } from '../../lib/evaluation/fidelity';
import { frechetDistance, gaussianOf } from '../../lib/evaluation/frechet';
import { kernelDistance, subsetIndices } from '../../lib/evaluation/kernelDistance';
import { joinMoments, momentsOf } from '../../lib/evaluation/moments';
import { Pace } from '../../lib/evaluation/pace';
import { manifoldOf, precisionAndRecall } from '../../lib/evaluation/precisionRecall';
import { resize, resizeRaster } from '../../lib/image/resize';
import { spectrumOf } from '../../lib/evaluation/spectrum';
import { decodeSafetensors, encodeSafetensors, type Tensor } from '../../lib/tensor';

import { noise, python } from './oracle';

const width = 24;
const counts = { reference: 400, generated: 300 };
const kernel = { subsets: 6, subsetSize: 90, seed: 5 };
const pace = new Pace();

/** Correlated, shifted, and with dead features, as those of a network that ends in a ReLU. */
function features(count: number, seed: number, shift: number): Features {
  const values = noise([count, width], seed).data as Float32Array;
  for (let row = 0; row < count; row++) {
    for (let column = 0; column < width; column++) {
      const at = row * width + column;
      const mixed = values[at]! * (1 + column / 6) + 0.7 * (values[at - (column % 5)] ?? 0) + shift;
      values[at] = column < 3 ? 0 : Math.max(0, mixed);
    }
  }
  return { values, count, width };
}

function picture(seed: number) {
  const [height, across] = [28, 36];
  const values = Float64Array.from(noise([height, across], seed).data as Float32Array, (value, place) =>
    Math.min(1, Math.max(0, 0.5 + 0.3 * Math.sin(place / 9) + 0.1 * value)),
  );
  return { values, height, width: across };
}

const reference = features(counts.reference, 1, 0.2);
const generated = features(counts.generated, 2, 0.5);
const original = picture(3);
const changed = { ...original, values: original.values.map((value, place) => value * 0.9 + 0.05 * Math.cos(place)) };
const planes = noise([3, 28, 36], 4).data as Float32Array;
/** Levels with edges, on which Lanczos' filter overshoots. */
const levels = Uint8Array.from(planes, (value) => (value > 0 ? 250 : 5) + Math.round(value));
const sizes = [
  [64, 17],
  [20, 20],
  [28, 90],
  [13, 36],
] as const;

let folder: string;
let wanted: Record<string, Float64Array>;

const there = python.path ? describe : describe.skip;

there('metrics', () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'detail-guidance-metrics-'));
    const matrix = ({ values, count }: Features): Tensor => ({ data: values, shape: [count, width], dtype: 'float32' });
    const subsets = Array.from({ length: kernel.subsets }, (_, subset) => {
      const drawn = subsetIndices(kernel.seed, subset, kernel.subsetSize, counts.reference, counts.generated);
      return (['reference', 'generated'] as const).map((which, side): [string, Tensor] => [
        `subset.${subset}.${which}`,
        { data: BigInt64Array.from(drawn[side]!, BigInt), shape: [kernel.subsetSize], dtype: 'int64' },
      ]);
    }).flat();
    const shape = [original.height, original.width];
    const input = encodeSafetensors({
      reference: matrix(reference),
      generated: matrix(generated),
      ...Object.fromEntries(subsets),
      picture: { data: changed.values, shape, dtype: 'float64' },
      original: { data: original.values, shape, dtype: 'float64' },
      planes: { data: planes, shape: [3, ...shape], dtype: 'float32' },
      size: { data: BigInt64Array.of(13n, 50n), shape: [2], dtype: 'int64' },
      levels: { data: levels, shape: [28, 36, 3], dtype: 'uint8' },
      sizes: { data: BigInt64Array.from(sizes.flat(), BigInt), shape: [sizes.length, 2], dtype: 'int64' },
    });
    writeFileSync(join(folder, 'in.safetensors'), input);
    const script = join(__dirname, 'reference', 'metrics.py');
    execFileSync(python.path!, [script, join(folder, 'in.safetensors'), join(folder, 'out.safetensors')]);
    const { tensors } = decodeSafetensors(readFileSync(join(folder, 'out.safetensors')));
    wanted = Object.fromEntries(Object.entries(tensors).map(([name, { data }]) => [name, data as Float64Array]));
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  /** Relative to the largest of the wanted values. */
  function agree(found: ArrayLike<number>, name: string, tolerance = 1e-6): void {
    const values = wanted[name]!;
    expect(found.length).toBe(values.length);
    const scale = Math.max(...values.map(Math.abs));
    const worst = values.reduce((most, value, index) => Math.max(most, Math.abs(value - found[index]!) / scale), 0);
    expect(worst).toBeLessThan(tolerance);
  }

  test('Fréchet distance', async () => {
    const gaussian = gaussianOf(await momentsOf(reference, pace));
    const distance = frechetDistance(gaussian, await momentsOf(generated, pace));
    expect(distance).toBeGreaterThan(1);
    agree([distance], 'frechet');
  });

  test('Fréchet distance, from the moments of two halves', async () => {
    const half = (from: number, to: number) => ({
      values: generated.values.subarray(from * width, to * width),
      count: to - from,
      width,
    });
    const [one, other] = [await momentsOf(half(0, 100), pace), await momentsOf(half(100, counts.generated), pace)];
    agree([frechetDistance(gaussianOf(await momentsOf(reference, pace)), joinMoments(one, other))], 'frechet');
  });

  test('kernel distance and its error', async () => {
    const { distance, standardError } = await kernelDistance(reference, generated, kernel, pace);
    agree([distance, standardError], 'kernel');
  });

  test('precision and recall', async () => {
    const options = { neighbours: 3, images: 10_000 };
    const [real, made] = [await manifoldOf(reference, options, pace), await manifoldOf(generated, options, pace)];
    const { precision, recall } = await precisionAndRecall(real, made, 3, pace);
    expect(precision).toBeLessThan(1);
    expect(precision).toBeGreaterThan(0.1);
    agree([precision, recall], 'precisionRecall');
  });

  test('radial spectrum and the share of high frequencies', () => {
    const { radial, highShare } = spectrumOf(changed, 0.25);
    agree(radial, 'radial');
    agree([highShare], 'highShare');
  });

  test('errors, signal and SSIM of the whole picture and of its bands', () => {
    const [a, b] = [splitBands(changed, 0.25), splitBands(original, 0.25)];
    const figures = bands.flatMap((band) => {
      const { squaredError, signal, ssim } = fidelity(a[band], b[band]);
      return [squaredError, signal, ssim];
    });
    agree(figures, 'fidelity');
  });

  test('resizing, against Pillow in float32', () => {
    agree(resize(planes, 3, [28, 36], [13, 50]), 'resized');
  });

  test.each(sizes)("pictures to %d x %d by Lanczos' filter, against Pillow", (height, across) => {
    const found = resizeRaster({ width: 36, height: 28, channels: 3, pixels: levels }, { width: across, height });
    const expected = wanted[`lanczos.${height}.${across}`]!;
    expect(found.pixels).toHaveLength(expected.length);
    // Pillow's weights have 22 bits: a value near the middle of two levels may be rounded to the other one.
    const differences = Array.from(found.pixels, (level, at) => Math.abs(level - expected[at]!));
    expect(Math.max(...differences)).toBeLessThanOrEqual(1);
    expect(differences.filter((difference) => difference > 0).length).toBeLessThan(differences.length / 100);
  });
});
