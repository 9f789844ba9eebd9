/**
 * 8 bit linear layers against a reference of the same arithmetic in Python (reference/quantised.py), in models of three
 * families. A value that lies between two steps of a scale may be rounded to either, and what a layer rounds differently
 * goes on from there: 5·10⁻³ of the largest value, where quantising itself moves it by several times that.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { loadPipeline, type LoadOptions } from '../../lib';

import { withoutInt8 } from '../processor';

import { difference, Oracle, python } from './oracle';
import { dit, embedded, flux, inputsOf, sd3, type Subject } from './subjects';

const rounding = 5e-3;

/** A suite that says in its name why it is skipped. */
const suite = (name: string, reason: string | null, tests: () => void) =>
  reason === null ? describe(name, tests) : describe.skip(`${name} (skipped: ${reason})`, tests);

suite('quantised layers equal Python', python.reason, () => {
  let oracle: Oracle;
  beforeAll(() => {
    oracle = new Oracle();
  });
  afterAll(() => oracle?.close());

  async function compare(subject: Subject, quantize: LoadOptions['quantize']) {
    const inputs = inputsOf(subject, 2);
    const folder = subject === embedded ? 'embedded' : await oracle.bundle(subject.name);
    await using pipeline = await loadPipeline(folder, { device: 'cpu', quantize });
    await using plain = await loadPipeline(folder, { device: 'cpu' });
    const { layers, weights, activations } = pipeline.quantized!;
    const given = typeof quantize === 'object' ? (quantize.layers ?? []) : [];
    const quantised = layers.map(({ path, channels }) => ({
      path,
      channels,
      smoothing: given.find((layer) => layer.path === path)?.smoothing ?? null,
      maxima: given.find((layer) => layer.path === path)?.maxima ?? null,
    }));
    const asked = { op: 'forward', subject: subject.name, edits: [], captures: [], quantised, weights, activations };
    const { output: wanted } = await oracle.ask(asked, inputs);
    const { output: found } = await pipeline.forward(inputs);
    const { output: unquantised } = await plain.forward(inputs);
    return { layers, far: difference(unquantised, wanted!), near: difference(found, wanted!) };
  }

  suite('int8', withoutInt8, () => {
    test.each([dit, sd3, flux])('single layers of $name', async (subject) => {
      const { layers } = await compare(subject, 'int8');
      const inBlocks = (path: string) => subject.layers.some((block) => path.startsWith(`${block}.`));
      expect(layers.length).toBeGreaterThanOrEqual(4 * subject.layers.length);
      const paths = layers.map(({ path }) => path);
      expect(paths.filter((path) => !inBlocks(path) || /norm/.test(path))).toEqual([]);
      for (const path of [paths[0]!, paths.at(-1)!]) {
        const { near, far } = await compare(subject, { keep: paths.filter((other) => other !== path) });
        // The same to float32's last digits; a value that is rounded to the other step makes it a part of what quantising does.
        expect(near).toBeLessThan(far / 3);
      }
    });

    test.each([dit, sd3, flux])('the whole of $name, no channel kept', async (subject) => {
      const { near } = await compare(subject, 'int8');
      expect(near).toBeLessThan(rounding);
    });

    test('loud channels kept, in layers that read the hidden state alone', async () => {
      const { layers, near } = await compare(dit, { channels: [7, 19] });
      const keeping = layers.filter(({ channels }) => channels.length > 0).map(({ path }) => path);
      expect(keeping.filter((path) => path.startsWith('m.transformer_blocks.0.'))).toEqual(
        ['attn1.to_q', 'attn1.to_k', 'attn1.to_v', 'ff.net.0.proj'].map((each) => `m.transformer_blocks.0.${each}`),
      );
      expect(near).toBeLessThan(rounding);
    });

    test('the embedded model, with the massive channels that its bundle names', async () => {
      // Its hidden states have massive values, so that what is rounded differently in one of eight blocks goes further.
      const { layers, near, far } = await compare(embedded, 'int8');
      expect(layers.some(({ channels }) => channels.length > 0)).toBe(true);
      expect(near).toBeLessThan(4 * rounding);
      expect(far).toBeGreaterThan(near);
    });

    test('one scale a picture', async () => {
      const { near } = await compare(dit, { activations: 'per-tensor' });
      expect(near).toBeLessThan(rounding);
    });

    test('keeping the loud channels helps, keeping as many others does not', async () => {
      const inputs = inputsOf(dit, 2);
      const folder = await oracle.bundle(dit.name);
      await using plain = await loadPipeline(folder, { device: 'cpu' });
      const { output: wanted } = await plain.forward(inputs);
      const errorWith = async (channels: number[]) => {
        await using pipeline = await loadPipeline(folder, { device: 'cpu', quantize: { channels } });
        return difference((await pipeline.forward(inputs)).output, wanted);
      };
      const [none, loud, others] = [await errorWith([]), await errorWith([7, 19]), await errorWith([8, 20])];
      expect(loud).toBeLessThan(0.9 * none);
      expect(others).toBeGreaterThan(1.1 * loud);
    });

    test('smoothed layers, by given numbers and by the largest magnitudes', async () => {
      const numbers = Array.from({ length: 48 }, (_, channel) => 0.5 + (channel % 7) / 3);
      const [query, key] = ['to_q', 'to_k'].map((name) => `m.transformer_blocks.1.attn1.${name}`) as [string, string];
      const { layers, near } = await compare(dit, {
        layers: [
          { path: query, smoothing: numbers, channels: [3] },
          { path: key, maxima: numbers },
        ],
      });
      expect(layers.find(({ path }) => path === query)).toMatchObject({ smoothed: true, channels: [3] });
      expect(layers.filter(({ smoothed }) => smoothed).map(({ path }) => path)).toEqual([query, key]);
      expect(near).toBeLessThan(rounding);
    });
  });

  const float8: LoadOptions['quantize'] = 'fp8';
  const numbers = Array.from({ length: 48 }, (_, channel) => 0.5 + (channel % 7) / 3);

  // A number that lies between two of fp8 may become either, and what lies there differs by more than a step of int8.
  describe('fp8', () => {
    test.each([dit, sd3, flux])('the whole of $name, no channel kept', async (subject) => {
      const { near, far } = await compare(subject, float8);
      expect(near).toBeLessThan(far / 3);
      expect(near).toBeLessThan(4 * rounding);
    });

    test.each<[string, LoadOptions['quantize']]>([
      ['loud channels kept', { weights: 'fp8', channels: [7, 19] }],
      ['one scale a picture', { weights: 'fp8', activations: 'per-tensor' }],
      ['smoothed', { weights: 'fp8', layers: [{ path: 'm.transformer_blocks.1.attn1.to_q', smoothing: numbers }] }],
    ])('%s', async (_, quantize) => {
      const { near, far } = await compare(dit, quantize);
      expect(near).toBeLessThan(far / 3);
    });
  });

  // Nothing is rounded on the way: float32's last digits.
  describe('weights alone', () => {
    test.each([dit, sd3, flux])('the whole of $name', async (subject) => {
      const { near, far } = await compare(subject, { activations: 'none' });
      expect(near).toBeLessThan(1e-4);
      expect(far).toBeGreaterThan(10 * near);
    });

    test.each<[string, LoadOptions['quantize']]>([
      ['in fp8', { weights: 'fp8', activations: 'none' }],
      ['loud channels kept', { activations: 'none', channels: [7, 19] }],
      [
        'smoothed',
        {
          activations: 'none',
          layers: [{ path: 'm.transformer_blocks.1.attn1.to_q', smoothing: numbers, channels: [3] }],
        },
      ],
    ])('%s', async (_, quantize) => {
      const { near, far } = await compare(dit, quantize);
      expect(near).toBeLessThan(1e-4);
      expect(far).toBeGreaterThan(10 * near);
    });
  });
});
