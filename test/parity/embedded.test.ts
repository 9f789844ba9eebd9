/**
 * The embedded model against Python: the same weights and latents, PyTorch's own forward hooks on the eager model.
 * One evaluation with every hidden state, one disrupted evaluation, whole guided sampling runs. fp32 on the CPU, 1e-4
 * relative to the largest value.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { loadPipeline, type Pipeline } from '../../lib';
import type { PlanEdit } from '../../lib/native';

import { hookOf } from './hooks';
import { difference, expectEqual, Oracle, python } from './oracle';
import { generate, optionsOf, reference, type SamplingCase } from './sampling';
import { embedded, inputsOf } from './subjects';

const suite = python.path ? describe : describe.skip;

suite(`the embedded model equals Python${python.path ? '' : ` (skipped: ${python.reason})`}`, () => {
  let oracle: Oracle;
  let pipeline: Pipeline;
  const inputs = inputsOf(embedded, 2);

  beforeAll(async () => {
    oracle = new Oracle();
    pipeline = await loadPipeline('embedded', { device: 'cpu' });
  });
  afterAll(async () => {
    await pipeline?.dispose();
    await oracle?.close();
  });

  /** What the bundle records, so that another training run needs no change here. */
  const recorded = () => pipeline.bundle.massiveActivations!;
  const disruption = (changes: Partial<PlanEdit> = {}): PlanEdit => ({
    path: `blocks.${recorded().layer}`,
    tap: 'output',
    stream: 'image',
    operation: 'retain',
    channels: recorded().channels,
    tokens: null,
    ...changes,
  });

  test('one evaluation, with the hidden state after every block and every gate', async () => {
    expect(pipeline.size.blocks).toBe(embedded.layers.length);
    const hooks = embedded.layers.flatMap((path) => [
      { path, tap: 'output' as const, stream: 'image' },
      { path: `${path}.modulation`, tap: 'output' as const, stream: null },
      { path: `${path}.attention`, tap: 'attention' as const, stream: null },
      { path: `${path}.mlp.1`, tap: 'input' as const, stream: null },
    ]);
    const found = await pipeline.forward(inputs, { hooks });
    const wanted = await oracle.ask({ op: 'forward', subject: 'embedded', edits: [], captures: hooks }, inputs);
    expectEqual('embedded: forward', found.output, wanted['output']!);
    expect(found.captures).toHaveLength(hooks.length);
    hooks.forEach(({ path, tap }, index) => {
      expectEqual(`embedded: capture ${path} ${tap}`, found.captures[index]!.tensor, wanted[`capture.${index}`]!);
    });
  });

  test.each([
    ['zeroed', {}],
    ['kept in part', { retention: [0.3] }],
    ['kept in part at some tokens', { retention: [-0.6], tokens: [0, 8, 24, 48] }],
    ['and others zeroed after the first block', { path: 'blocks.0', channels: [0, 5, 77, 127] }],
  ])('massive activations %s', async (name, changes) => {
    const edit = disruption(changes);
    const [plain, found] = await Promise.all([
      pipeline.forward(inputs),
      pipeline.forward(inputs, { hooks: [hookOf(edit)] }),
    ]);
    const wanted = await oracle.ask({ op: 'forward', subject: 'embedded', edits: [edit], captures: [] }, inputs);
    expect(difference(wanted['output']!, plain.output)).toBeGreaterThan(1e-3);
    expectEqual(`embedded: massive activations ${name}`, found.output, wanted['output']!);
  });

  const detail = (more = {}) => ({ scale: 0.3, layer: recorded().layer, channels: recorded().channels, ...more });
  test.each<[string, () => SamplingCase['guidance']]>([
    ['conditional alone', () => ({})],
    ['CFG', () => ({ classifierFree: { scale: 2 } })],
    ['DG', () => ({ detail: detail() })],
    ['CFG + DG', () => ({ classifierFree: { scale: 2 }, detail: detail() })],
    [
      'CFG + DG in windows, ρ_t from 0 to 1',
      () => ({
        classifierFree: { scale: 3, start: 0.1, stop: 0.8 },
        detail: detail({ start: 0.25, stop: 0.75, retention: { kind: 'linear', data: 1, noise: 0 } }),
      }),
    ],
    ['Local DG', () => ({ detail: detail({ scale: 1, tokens: [16, 17, 18, 23, 24, 25] }) })],
    ['CFG + DG, reused', () => ({ classifierFree: { scale: 2, reuse: 2 }, detail: detail({ reuse: 3 }) })],
    [
      'CFG + DG, reused while little changes',
      () => ({ classifierFree: { scale: 2 }, detail: detail({ reuse: { threshold: 0.2 } }) }),
    ],
    ['the disrupted model', () => ({ disrupt: { layer: recorded().layer, channels: recorded().channels } })],
  ])('a whole run of 20 steps: %s', async (name, guidance) => {
    const run: SamplingCase = { name, guidance: guidance(), steps: 20 };
    const found = await generate(pipeline, embedded, run);
    const wanted = await reference(oracle, embedded, run, pipeline.plan(optionsOf(embedded, run)));
    expectEqual(`embedded: ${name}`, found.latents, wanted.latents);
  });

  test('the defaults of the bundle are those that its options spell out', async () => {
    const { guidance } = pipeline.bundle.defaults!;
    const run: SamplingCase = {
      name: 'defaults',
      guidance: {
        classifierFree: guidance!['classifierFree'] as { scale: number },
        detail: detail({ scale: (guidance!['detail'] as { scale: number }).scale }),
      },
    };
    const options = { ...optionsOf(embedded, run) };
    delete options.guidance;
    const found = await pipeline.generate(options);
    const wanted = await reference(oracle, embedded, run, pipeline.plan(optionsOf(embedded, run)));
    expectEqual('embedded: defaults', found.latents, wanted.latents);
  });
});
