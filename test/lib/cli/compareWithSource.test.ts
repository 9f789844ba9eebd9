/** The check of an export by the real loader, on the embedded bundle: its own values are right, others are not. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { compareWithSource } from '../../../lib/cli/compareWithSource';
import { packageRoot } from '../../../lib/files/packageRoot';
import { loadPipeline, type Tensor } from '../../../lib';
import { encodeSafetensors } from '../../../lib/tensor';

const bundle = join(packageRoot(), 'models', 'embedded');
const { signal } = new AbortController();
let folder: string;
let inputs: Record<string, Tensor>;
let output: Tensor;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'detail-guidance-compare-'));
  const pipeline = await loadPipeline('embedded', { device: 'cpu' });
  const named = {
    latents: {
      data: Float32Array.from({ length: 2 * 784 }, (_, at) => Math.sin(at * 1.7)),
      shape: [2, 1, 28, 28],
      dtype: 'float32' as const,
    },
    timestep: { data: new Float32Array([0.8, 0.3]), shape: [2], dtype: 'float32' as const },
    class: { data: new BigInt64Array([3n, 10n]), shape: [2], dtype: 'int64' as const },
  };
  const names = pipeline.bundle.transformer.inputs.map(({ name }) => name);
  const values = Object.values(named);
  ({ output } = await pipeline.forward(Object.fromEntries(names.map((name, at) => [name, values[at]!]))));
  inputs = Object.fromEntries(values.map((value, at) => [`input.${at}`, value]));
  await pipeline.dispose();
});

afterAll(() => rmSync(folder, { recursive: true }));

function check(outputs: Record<string, Tensor>, taken: Record<string, Tensor> = inputs): Promise<void> {
  const place = join(folder, 'values');
  writeFileSync(place, encodeSafetensors({ ...taken, ...outputs }));
  return compareWithSource(bundle, { 'transformer.pt': place }, signal);
}

function scaled(factor: number): Tensor {
  return { ...output, data: (output.data as Float32Array).map((value) => value * factor) };
}

test('the values that the source gives are right', async () => {
  await check({ 'output.0': output });
});

test('values that are off by a fifth are not, and the file is named', async () => {
  await expect(check({ 'output.0': scaled(1.2) })).rejects.toMatchObject({
    code: 'EXPORT_FAILED',
    message: expect.stringMatching(/^transformer\.pt does not give what its source gives: expected .* received 0\.17/),
  });
});

test('a value that is no number is not right', async () => {
  await expect(check({ 'output.0': scaled(NaN) })).rejects.toMatchObject({ code: 'EXPORT_FAILED' });
});

test('outputs of another shape are not right', async () => {
  const halved: Tensor = { data: new Float32Array(2 * 14 * 28), shape: [2, 1, 14, 28], dtype: 'float32' };
  await expect(check({ 'output.0': halved })).rejects.toMatchObject({
    code: 'EXPORT_FAILED',
    received: '[2, 1, 28, 28]',
  });
});

test('inputs that the bundle does not describe are refused as in any call', async () => {
  const fewer = Object.fromEntries(Object.entries(inputs).slice(0, 2));
  await expect(check({ 'output.0': output }, fewer)).rejects.toMatchObject({ code: 'BAD_TENSOR' });
});
