/** A TorchScript file as a function: the classifier of the embedded bundle. */
import { join } from 'node:path';

import { expect, test } from '@jest/globals';

import { loadTorchScript } from '../../lib/model/torchScript';
import { packageRoot } from '../../lib/files/packageRoot';
import type { Tensor } from '../../lib/tensor';

const classifier = join(packageRoot(), 'models', 'embedded', 'classifier.pt');

function pictures(count: number): Tensor {
  const data = Float32Array.from({ length: count * 784 }, (_, index) => Math.sin(index / 7));
  return { data, shape: [count, 1, 28, 28], dtype: 'float32' };
}

test('runs, at any number of rows, and says how large it is', async () => {
  await using component = await loadTorchScript(classifier, { device: 'cpu' });
  expect(component.size.bytes).toBeGreaterThanOrEqual(component.size.parameters * 4);
  const [three] = await component.run([pictures(3)]);
  expect(three).toMatchObject({ shape: [3, 10], dtype: 'float32' });
  const [one] = await component.run([pictures(1)]);
  expect(one!.shape).toEqual([1, 10]);
  one!.data.forEach((value, index) => expect(three!.data[index]).toBeCloseTo(Number(value), 4));
});

test('refuses what is wrong by code', async () => {
  const component = await loadTorchScript(classifier, { device: 'cpu' });
  await expect(component.run([])).rejects.toMatchObject({ code: 'BAD_TENSOR' });
  await expect(component.run([{ ...pictures(1), shape: [1, 784] }])).rejects.toMatchObject({ code: 'MODEL_FAILED' });
  await component.dispose();
  await component.dispose();
  await expect(component.run([pictures(1)])).rejects.toMatchObject({ code: 'DISPOSED' });
  await expect(loadTorchScript(join(packageRoot(), 'package.json'))).rejects.toMatchObject({
    code: 'MODEL_UNREADABLE',
  });
  await expect(loadTorchScript(classifier, { dtype: 'int8' as never })).rejects.toMatchObject({ code: 'BAD_OPTION' });
});

test('a call that was aborted rejects with an AbortError, and the next one works', async () => {
  await using component = await loadTorchScript(classifier, { device: 'cpu' });
  await expect(component.run([pictures(1)], AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORT_ERR' });
  await expect(component.run([pictures(1)])).resolves.toHaveLength(1);
  await expect(loadTorchScript(classifier, { signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: 'ABORT_ERR',
  });
});
