/**
 * Recorded runs against ordinary forward hooks in Python: hidden states, statistics and attention mass of every branch in
 * every step of a run with CFG and DG, with the prefix shared and not. fp32 on the CPU, 1e-4 relative to the largest value.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { loadPipeline, type Pipeline } from '../../lib';
import type { Tensor } from '../../lib/tensor';

import { expectEqual, Oracle, python } from './oracle';
import { images, optionsOf, reference, type SamplingCase } from './sampling';
import { embedded, subjects } from './subjects';

const suite = python.path ? describe : describe.skip;

suite(`records equal Python's hooks${python.path ? '' : ` (skipped: ${python.reason})`}`, () => {
  let oracle: Oracle;
  beforeAll(() => {
    oracle = new Oracle();
  });
  afterAll(() => oracle?.close());

  describe.each([embedded, ...subjects].map((subject) => [subject.name, subject] as const))('%s', (name, subject) => {
    let pipeline: Pipeline;
    let wanted: Awaited<ReturnType<typeof reference>>;
    const [layer, last] = [1, subject.layers.length - 1];
    const run: SamplingCase = {
      name,
      guidance: { classifierFree: { scale: 2 }, detail: { scale: 0.7, layer, channels: [7, 19] } },
      steps: 3,
    };
    const sites = [
      // Before the disruption, at it, behind it; all streams that go on.
      ...[0, layer, last - 1].flatMap((block) =>
        subject.streams.map((stream) => ({ path: subject.layers[block]!, tap: 'output' as const, stream })),
      ),
      { path: subject.layers[last]!, tap: 'output' as const, stream: 'image' },
      ...[0, last].map((block) => ({
        path: `${subject.layers[block]!}.${subject.attention(block)}`,
        tap: 'attention' as const,
      })),
    ];
    beforeAll(async () => {
      pipeline = await loadPipeline(name === 'embedded' ? name : await oracle.bundle(name), { device: 'cpu' });
      wanted = await reference(oracle, subject, run, pipeline.plan(optionsOf(subject, run)), sites);
    }, 120_000);
    afterAll(async () => pipeline?.dispose());

    test.each([
      ['shared', true],
      ['not shared', false],
    ])('prefix %s', async (how, partialForward) => {
      const recorded = pipeline.activations({
        generate: { ...optionsOf(subject, run), partialForward },
        branches: 'all',
        sites,
        tensors: true,
        statistics: { percentiles: [99] },
      });
      let count = 0;
      let next = await recorded.next();
      for (; !next.done; next = await recorded.next()) {
        const { site, branch, image, step, channels, tensor, attention } = next.value;
        const at = sites.findIndex(
          (each) =>
            each.path === site.path && each.tap === site.tap && (!('stream' in each) || each.stream === site.stream),
        );
        const kind = branch.endsWith('conditional') ? branch : 'edited';
        const key = `${image}.${step}.${kind}.capture.${at}`;
        const what = `${name}, ${how}: ${site.path} ${kind} step ${step}`;
        expectEqual(what, tensor!, wanted.records[key]!);
        const { max, mean, median, variance, percentiles } = channels!;
        const rows = [max, mean, median, percentiles![0]!.values, variance];
        expectEqual(`${what}, statistics`, stacked(rows), wanted.records[`${key}.statistics`]!);
        if (attention) {
          const mass: Tensor = { data: attention.mass, shape: [attention.mass.length], dtype: 'float32' };
          expectEqual(`${what}, attention mass`, mass, wanted.records[key.replace('capture', 'mass')]!);
        }
        count++;
      }
      expect(count).toBe(images * 3 * 3 * sites.length);
      expect(next.value.execution.partialForward.shared).toBe(partialForward);
      expectEqual(`${name}, ${how}: latents`, next.value.latents, wanted.latents);
    });
  });
});

function stacked(rows: Float32Array[]): Tensor {
  const data = Float32Array.from(rows.flatMap((row) => [...row]));
  return { data, shape: [rows.length, rows[0]!.length], dtype: 'float32' };
}
