/**
 * Which chains are found in the transformers of diffusers, that nothing in them waits for a GPU, and that they compute the
 * same when the weights of their blocks wait in host memory.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { loadPipeline, type Pipeline, type Tensor } from '../../../lib';
import { openBundle } from '../../../lib/bundle';
import { fusionKinds } from '../../../lib/native';
import { buildFolder } from '../../../setup/cache.cjs';
import { noise, Oracle, python } from '../oracle';

const suite = python.path ? describe : describe.skip;
const program = join(buildFolder(), 'cmake', 'native_tests');
const placementTest = existsSync(program) ? test : test.skip;

/**
 * As `inspect` counts them, in the small models of reference/pipelines.py, all kinds wanted: a
 * change of diffusers that hides a chain from the search shows here.
 */
const found = {
  'sd3-sd3': { modulation: 16, residual: 14, gelu: 7, attention: 4, pack: 60 },
  'sd3-sd35': { modulation: 14, residual: 20, rotary: 20, gelu: 7, attention: 6, pack: 68 },
  'flux-dev': { modulation: 12, residual: 11, rotary: 18, gelu: 7, attention: 5, pack: 56 },
  'dit-dit': { modulation: 9, residual: 8, gelu: 4, attention: 4, pack: 40 },
  'pixart-alpha': { modulation: 9, residual: 8, gelu: 5, attention: 4, pack: 50 },
  'wan-wan': { residual: 25, rotary: 16, gelu: 5, attention: 8, pack: 46 },
} as const;

/** Sizes of the inputs' axes that have names. */
const sizes: Record<string, number> = { batch: 2, height: 8, width: 8, frames: 3, tokens: 7, imageTokens: 16 };

/** Something to compute with, for every input. */
function inputsOf({ bundle }: Pipeline): Record<string, Tensor> {
  return Object.fromEntries(
    bundle.transformer.inputs.map(({ name, dtype, shape }, index): [string, Tensor] => {
      const axes = shape.map((axis) => (typeof axis === 'number' ? axis : sizes[axis]!));
      const drawn = noise(axes, index + 1);
      if (dtype !== 'int64') return [name, drawn];
      return [name, { ...drawn, dtype, data: new BigInt64Array(drawn.data.length) } as Tensor];
    }),
  );
}

suite.each(Object.entries(found))('%s', (name, counts) => {
  const oracle = new Oracle();
  const folder = join(oracle.folder, name);
  beforeAll(async () => {
    const [family, variant] = name.split('-');
    await oracle.ask({ op: 'export', family, variant, out: folder });
  }, 120_000);
  afterAll(() => oracle.close());

  test('fused chains', async () => {
    await using pipeline = await loadPipeline(folder, { device: 'cpu', fuse: [...fusionKinds] });
    expect(Object.fromEntries(pipeline.fused.map(({ kind, count }) => [kind, count]))).toEqual(counts);
  });

  test.each(['float32', 'bfloat16'] as const)('blocks that wait in host memory, %s', async (dtype) => {
    await using plain = await loadPipeline(folder, { device: 'cpu', dtype });
    await using waiting = await loadPipeline(folder, { device: 'cpu', dtype, offload: 'blocks' });
    const inputs = inputsOf(plain);
    const hooks = [{ path: '**', capture: true }];
    const [expected, found] = [await plain.forward(inputs, { hooks }), await waiting.forward(inputs, { hooks })];
    expect(found.output.data).toEqual(expected.output.data);
    expect(found.captures.map(({ tensor }) => tensor.data)).toEqual(expected.captures.map(({ tensor }) => tensor.data));
  });

  placementTest(
    `waits for nothing on its device${existsSync(program) ? '' : ' (the C++ tests are not built)'}`,
    async () => {
      const bundle = await openBundle(folder);
      const { file, inputs, blocks } = bundle.transformer;
      const specs = inputs.map(({ dtype, shape }) => {
        const axes = shape.map((axis) => (typeof axis === 'number' ? axis : sizes[axis]));
        return `${dtype === 'int64' ? 'long' : dtype}:${axes.join(',')}`;
      });
      const { status, stdout } = spawnSync(program, ["--test-case=a model of the caller's", '--no-skipped-summary'], {
        encoding: 'utf8',
        env: {
          ...process.env,
          DETAIL_GUIDANCE_PLACEMENT: [bundle.path(file), ...specs].join(' '),
          DETAIL_GUIDANCE_PLACEMENT_BLOCKS: blocks.map(({ path }) => path).join(' '),
        },
      });
      expect(`${status} ${status === 0 ? '' : stdout}`).toBe('0 ');
      expect(stdout).toMatch(/test cases: +1 \| +1 passed/);
    },
  );
});
