/**
 * Scripted modules (torch.jit.script): blocks of one class share one method graph there, and programs have branches.
 * Against Python's own forward hooks on the eager module; fp32 on the CPU, 1e-4 relative.
 */
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { native, type PlanEdit, type NativeModel, type NativePlan } from '../../lib/native';

import { difference, expectEqual, floats, integers, noise, Oracle, python, row, tolerance } from './oracle';

const suite = python.path ? describe : describe.skip;

const latent = noise([2, 3, 4, 4], 8);
const tensors = { sample: latent, timestep: floats([0.7, 0.7]), label: integers([1, 3]) };
const inputs = [tensors.sample, tensors.timestep, tensors.label];

const zero = (path: string, channels: number[]): PlanEdit => ({
  path,
  tap: 'output',
  stream: null,
  operation: 'retain',
  channels,
  tokens: null,
  retention: [0],
});

suite(`scripted modules equal Python${python.path ? '' : ` (skipped: ${python.reason})`}`, () => {
  let oracle: Oracle;
  beforeAll(() => {
    oracle = new Oracle();
  });
  afterAll(() => oracle?.close());

  async function load(
    name: string,
    blocks = [{ path: 'blocks.*', streams: ['image'] }],
    firstEvaluationLimit = 600,
  ): Promise<NativeModel> {
    const out = join(oracle.folder, `${name}.pt`);
    await oracle.ask({ op: 'script', name, out });
    return native().load({
      file: out,
      device: 'cpu',
      dtype: 'float32',
      inputs: [
        { name: 'sample', role: 'latent', dtype: 'float', batched: true },
        { name: 'timestep', role: 'timestep', dtype: 'float32', batched: true },
        { name: 'label', role: 'class', dtype: 'int64', batched: true },
      ],
      blocks,
      outputChannels: 0,
      allowAllOperators: false,
      firstEvaluationLimit,
    }).promise;
  }

  const plan = (edits: PlanEdit[][], weights: number[], partialForward: boolean): NativePlan => ({
    latents: latent,
    conditionings: [[tensors.label]],
    edits: edits.flat(),
    branches: edits.map((each) => ({ conditioning: 0, edits: each.map((edit) => edits.flat().indexOf(edit)) })),
    steps: [0, 1, 2, 3].map((step) => ({
      timestep: 1 / (step + 1),
      inputScale: 1,
      weights,
      sample: 1,
      outputs: [1 / 4],
      preview: [1, 0] as [number, number],
    })),
    partialForward,
    batchSize: 1,
    preview: false,
  });

  describe.each([
    ['scripted', 'blocks of one class'],
    ['branching', 'a block with a branch of the program'],
  ])('%s: %s', (name) => {
    let model: NativeModel;
    beforeAll(async () => {
      model = await load(name);
    });
    afterAll(() => model?.dispose());

    test('numbers the blocks and gives each its own sites', () => {
      const { blocks, sites } = model.describe();
      expect(blocks).toBe(3);
      expect(sites.filter(({ block }) => block !== null).map(({ path, block }) => [path, block])).toEqual([
        ['blocks.0', 0],
        ['blocks.1', 1],
        ['blocks.2', 2],
      ]);
    });

    test.each<[string, Record<string, number[]>]>([
      ['nothing', {}],
      ['the first block', { 'blocks.0': [0, 3] }],
      ['the second block', { 'blocks.1': [1, 2, 15] }],
      ['the last block', { 'blocks.2': [4] }],
      ['two blocks differently', { 'blocks.0': [5, 6], 'blocks.2': [7] }],
      ['a submodule of one of the blocks', { 'blocks.2.mlp': [1, 2, 3] }],
    ])('one evaluation, zeroed: %s', async (what, zeroed) => {
      const hooks = Object.entries(zeroed).map(([path, channels]) => ({
        path,
        tap: 'output' as const,
        stream: null,
        capture: false,
        edits: [zero(path, channels)],
      }));
      const found = await model.forward(inputs, hooks).promise;
      const wanted = await oracle.ask({ op: 'run', name, options: { zero: zeroed } }, tensors);
      expectEqual(`${name}: ${what}`, found.output, wanted['output']!);
    });

    test.each([true, false])('a guided run, partial forward %s', async (share) => {
      const branches = [{}, { 'blocks.1': [1, 2] }, { 'blocks.2': [3] }];
      const weights = [1.8, -0.5, -0.3];
      const edits = branches.map((each) => Object.entries(each).map(([path, channels]) => zero(path, channels)));
      const found = await model.sample(plan(edits, weights, share)).promise;
      const wanted = await oracle.ask({ op: 'run', name, options: { branches, weights, steps: 4 } }, tensors);
      expectEqual(`${name}: guided run, partial forward ${share}`, found.latents, wanted['output']!);
      expect(found.execution.partialForward).toEqual({
        shared: share,
        cuts: share ? ['blocks.1', 'blocks.2'] : [],
        reason: null,
      });
    });
  });

  test('an edit inside the branch of a program, where the model can not be cut, falls back and says why', async () => {
    const model = await load('branching');
    const inner = zero('blocks.1.inner', [1, 2]);
    const found = await model.sample(plan([[], [inner]], [1.5, -0.5], true)).promise;
    const options = { branches: [{}, { 'blocks.1.inner': [1, 2] }], weights: [1.5, -0.5], steps: 4 };
    const wanted = await oracle.ask({ op: 'run', name: 'branching', options }, tensors);
    expectEqual('branching: edit inside a branch', found.latents, wanted['output']!);
    // The first image takes that branch, and the edit tells; the second does not.
    const plain = await model.sample(plan([[]], [1], true)).promise;
    expect(difference(row(found.latents, 0), row(plain.latents, 0))).toBeGreaterThan(1e-3);
    expect(difference(row(found.latents, 1), row(plain.latents, 1))).toBeLessThan(tolerance);
    expect(found.execution.partialForward.shared).toBe(false);
    expect(found.execution.partialForward.reason).toMatch(/branch or loop/);
    await model.dispose();
  });

  test('a loop without an end is left by cancel(), by dispose(), and at its limit', async () => {
    const endless = [tensors.sample, tensors.timestep, integers([4, 4])];
    const model = await load('endless');
    const hanging = model.forward(endless, []);
    setTimeout(() => hanging.cancel(), 50);
    await expect(hanging.promise).rejects.toMatchObject({ code: 'ABORT_ERR' });
    const wanted = await oracle.ask({ op: 'run', name: 'endless', options: {} }, tensors);
    expectEqual('endless: after the abort', (await model.forward(inputs, []).promise).output, wanted['output']!);

    const again = model.forward(endless, []);
    const disposed = new Promise((resolve) => setTimeout(() => resolve(model.dispose()), 50));
    await expect(again.promise).rejects.toMatchObject({ code: 'ABORT_ERR' });
    await disposed;

    const limited = await load('endless', undefined, 0.05);
    await expect(limited.forward(endless, []).promise).rejects.toMatchObject({
      code: 'MODEL_FAILED',
      message: expect.stringContaining('did not end in its first evaluation'),
    });
    await limited.dispose();
  });

  test('a convolutional network is no transformer', async () => {
    await expect(load('convolutional')).rejects.toMatchObject({
      code: 'NOT_A_TRANSFORMER',
      message: expect.stringContaining("'blocks.*'"),
    });
  });
});
