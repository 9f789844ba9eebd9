/**
 * Hooks and edits against Python: one evaluation of small diffusers transformers with random weights, by our native
 * taps and by PyTorch's own forward hooks. fp32 on the CPU, 1e-4 relative to the largest value.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { loadPipeline, type Pipeline } from '../../lib';
import type { Site } from '../../lib/native';
import type { Tensor } from '../../lib/tensor';

import { hookOf, type ReferenceEdit } from './hooks';
import { difference, expectEqual, noise, Oracle, python } from './oracle';
import { inputsOf, subjects, type Subject } from './subjects';

const suite = python.path ? describe : describe.skip;

interface Case {
  name: string;
  edits: ReferenceEdit[];
  /** Tensors by the name that an edit's `source` has in the reference. */
  source?: Tensor;
}

function casesOf({ layers, streams, attention, feedForward, channels, grid, imageFirst }: Subject): Case[] {
  const middle = Math.floor(layers.length / 2);
  const block = (layer: number) => layers[layer]!;
  const at = (layer: number, stream = 'image') => ({ path: block(layer), tap: 'output' as const, stream });
  const inside = (layer: number) => ({
    path: `${block(layer)}.${attention(layer)}`,
    tap: 'attention' as const,
    stream: null,
  });
  /** The image's queries are blurred, wherever they stand among the text's. */
  const imageTokens = imageFirst ? Array.from({ length: grid[0] * grid[1] }, (_, token) => token) : null;
  const every = Array.from({ length: layers.length }, (_, layer) => layer);
  return [
    ...every.flatMap((layer): Case[] => [
      { name: `zero after ${block(layer)}`, edits: [{ ...at(layer), operation: 'retain', channels: [7, 19] }] },
    ]),
    {
      name: 'retain on channels and tokens',
      edits: [{ ...at(middle), operation: 'retain', channels: [3, 7, 40], tokens: [0, 5, 9], retention: [0.4] }],
    },
    { name: 'retain on tokens', edits: [{ ...at(1), operation: 'retain', tokens: [2, 3, 15], retention: [-0.5] }] },
    { name: 'mean of some channels', edits: [{ ...at(middle), operation: 'mean', channels: [7, 19, 20] }] },
    { name: 'mean at some tokens', edits: [{ ...at(middle), operation: 'mean', tokens: [1, 2, 3] }] },
    {
      name: 'affine',
      edits: [
        { ...at(middle), operation: 'affine', channels: [7, 19], scale: [0.5, -1], shift: [2, 0.25], tokens: [4, 8] },
      ],
    },
    {
      name: 'affine, shift of all',
      edits: [
        { ...at(0), operation: 'affine', shift: Array.from({ length: channels }, (_, index) => 0.1 * (index % 5)) },
      ],
    },
    {
      name: 'transplant',
      source: noise([2, grid[0] * grid[1], channels], 77),
      edits: [{ ...at(middle), operation: 'transplant', channels: [0, 7, 30], tokens: [3, 4, 5, 6] }],
    },
    {
      name: 'transplant of one row into all',
      source: noise([1, grid[0] * grid[1], channels], 78),
      edits: [{ ...at(1), operation: 'transplant' }],
    },
    ...every.flatMap((layer): Case[] => [
      {
        name: `skip ${block(layer)}`,
        edits: (layer === layers.length - 1 ? ['image'] : streams).map((stream) => ({
          ...at(layer, stream),
          operation: 'skip',
        })),
      },
    ]),
    { name: 'shuffle', edits: [{ ...at(middle), operation: 'shuffle', seed: 9 }] },
    { name: 'shuffle some tokens', edits: [{ ...at(1), operation: 'shuffle', tokens: [1, 4, 6, 7, 12], seed: 4 }] },
    ...every.flatMap((layer): Case[] => [
      { name: `identity attention in ${block(layer)}`, edits: [{ ...inside(layer), operation: 'identity' }] },
      {
        name: `queries replaced by their mean in ${block(layer)}`,
        edits: [{ ...inside(layer), operation: 'blur', sigma: Infinity, grid, tokens: imageTokens }],
      },
    ]),
    {
      name: 'blurred queries',
      edits: [{ ...inside(middle), operation: 'blur', sigma: 0.8, grid, tokens: imageTokens }],
    },
    { name: 'blurred hidden state', edits: [{ ...at(middle), operation: 'blur', sigma: 1.2, grid }] },
    {
      name: 'magnitude-matched channels',
      edits: [{ ...at(middle), operation: 'match', channels: [1, 2, 30, 31, 44], reference: [7, 19] }],
    },
    {
      name: 'channels that match a partial disruption',
      edits: [{ ...at(middle), operation: 'match', channels: [1, 2, 30, 31], reference: [7, 19], retention: [0.4] }],
    },
    {
      name: 'magnitude-matched channels at some tokens',
      edits: [{ ...at(middle), operation: 'match', channels: [1, 2, 30], reference: [7], tokens: [0, 15] }],
    },
    {
      name: 'zero inside a block',
      edits: [
        { path: `${block(1)}.${feedForward(1)}`, tap: 'output', stream: null, operation: 'retain', channels: [5, 6] },
      ],
    },
    {
      name: 'what a feed-forward is given',
      edits: [
        { path: `${block(1)}.${feedForward(1)}`, tap: 'input', stream: null, operation: 'retain', retention: [0.5] },
      ],
    },
    {
      name: 'several edits at several sites',
      edits: [
        { ...at(0), operation: 'retain', channels: [7] },
        { ...at(0), operation: 'affine', channels: [8], shift: [3] },
        { ...at(middle), operation: 'shuffle', seed: 2 },
        { ...inside(layers.length - 1), operation: 'identity' },
      ],
    },
    ...(streams.includes('text')
      ? ([
          { name: 'zero in the text stream', edits: [{ ...at(0, 'text'), operation: 'retain', channels: [1, 2, 3] }] },
          {
            name: 'retain in the text stream at some tokens',
            edits: [{ ...at(1, 'text'), operation: 'retain', tokens: [1, 4] }],
          },
        ] satisfies Case[])
      : []),
  ];
}

suite(`hooks and edits equal PyTorch's forward hooks${python.path ? '' : ` (skipped: ${python.reason})`}`, () => {
  let oracle: Oracle;
  beforeAll(() => {
    oracle = new Oracle();
  });
  afterAll(() => oracle?.close());

  describe.each(subjects.map((subject) => [subject.name, subject] as const))('%s', (name, subject) => {
    let pipeline: Pipeline;
    let plain: Tensor;
    const inputs = inputsOf(subject, 2);

    beforeAll(async () => {
      pipeline = await loadPipeline(await oracle.bundle(name), { device: 'cpu' });
    }, 120_000);
    afterAll(async () => pipeline?.dispose());

    test('one evaluation with a capture at every block, stream, attention and submodule', async () => {
      const { layers, attention, feedForward } = subject;
      const sites: Pick<Site, 'path' | 'tap' | 'stream'>[] = [
        ...pipeline.sites
          .filter(({ block, tap }) => block !== null && tap === 'output')
          .map(({ path, stream }) => ({ path, tap: 'output' as const, stream })),
        ...layers.flatMap((path, layer) => [
          ...(['query', 'value', 'attention'] as const).map((tap) => ({
            path: `${path}.${attention(layer)}`,
            tap,
            stream: null,
          })),
          { path: `${path}.${feedForward(layer)}`, tap: 'input' as const, stream: null },
          { path: `${path}.${feedForward(layer)}`, tap: 'output' as const, stream: null },
        ]),
      ];
      expect(sites.filter(({ stream }) => stream === 'image')).toHaveLength(layers.length);
      const found = await pipeline.forward(inputs, { hooks: sites.map((site) => ({ ...site, capture: true })) });
      const wanted = await oracle.ask({ op: 'forward', subject: name, edits: [], captures: sites }, inputs);
      plain = wanted['output']!;
      expectEqual(`${name}: forward`, found.output, plain);
      expect(found.captures).toHaveLength(sites.length);
      sites.forEach(({ path, tap, stream }, index) => {
        const capture = found.captures[index]!;
        expect([capture.path, capture.tap, capture.stream]).toEqual([path, tap, stream]);
        expectEqual(`${name}: capture ${path} ${tap} ${stream ?? ''}`, capture.tensor, wanted[`capture.${index}`]!);
      });
    });

    test.each(casesOf(subject).map((each) => [each.name, each] as const))('%s', async (_name, { edits, source }) => {
      const hooks = edits.map((edit) => hookOf({ ...edit, ...(source ? { source } : {}) }));
      const found = await pipeline.forward(inputs, { hooks });
      const request = {
        op: 'forward',
        subject: name,
        captures: [],
        edits: edits.map((edit) => ({ ...edit, ...(source ? { source: 'source' } : {}) })),
      };
      const { output } = await oracle.ask(request, source ? { ...inputs, source } : inputs);
      // The edit does something, so that equality says something.
      expect(difference(output!, plain)).toBeGreaterThan(1e-3);
      expectEqual(`${name}: ${_name}`, found.output, output!);
    });
  });
});
