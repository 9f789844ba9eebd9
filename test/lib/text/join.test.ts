/** Embeddings joined as the bundle says. */
import { expect, test } from '@jest/globals';

import { joinText, type EncodedText } from '../../../lib/text/join';
import { positions } from '../../../lib/text/positions';
import type { Tensor } from '../../../lib/tensor';
import { errorOf } from '../model';

const float = (shape: number[], ...data: number[]): Tensor => ({
  data: Float32Array.from(data),
  shape,
  dtype: 'float32',
});
const mask: Tensor = { data: BigInt64Array.of(1n, 0n), shape: [1, 2], dtype: 'int64' };
const encoded: Record<string, EncodedText> = {
  a: { ids: mask, mask, sequence: float([1, 2, 1], 1, 2), pooled: float([1, 1], 7) },
  b: { ids: mask, mask, sequence: float([1, 2, 2], 3, 4, 5, 6), pooled: float([1, 2], 8, 9) },
};
const context = { encoded, maxSequenceLength: 2 };

test('channels side by side, filled up with zeros, then tokens one after the other', () => {
  const channels = {
    join: 'channels' as const,
    padTo: 4,
    of: [
      { from: 'a', output: 'sequence' as const },
      { from: 'b', output: 'sequence' as const },
    ],
  };
  const zeros = { zeros: { tokens: 'maxSequenceLength' as const, channels: 4 } };
  const joined = joinText({ join: 'tokens', of: [channels, zeros] }, context)!;
  expect(joined.shape).toEqual([1, 4, 4]);
  expect([...joined.data]).toEqual([1, 3, 4, 0, 2, 5, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
});

test('pooled side by side, masks, rows of padding made zero', () => {
  const pooled = joinText(
    {
      join: 'channels',
      of: [
        { from: 'a', output: 'pooled' },
        { from: 'b', output: 'pooled' },
      ],
    },
    context,
  )!;
  expect([...pooled.data]).toEqual([7, 8, 9]);
  expect(joinText({ from: 'a', output: 'mask' }, context)).toBe(mask);
  expect([...joinText({ from: 'b', output: 'sequence', zeroPadding: true }, context)!.data]).toEqual([3, 4, 0, 0]);
  expect([...encoded['b']!.sequence!.data]).toEqual([3, 4, 5, 6]);
});

test('parts that do not fit are the fault of the bundle', () => {
  const sequence = (from: string) => ({ from, output: 'sequence' as const });
  const code = (action: () => unknown) => errorOf(action).code;
  expect(code(() => joinText({ join: 'tokens', of: [sequence('a'), sequence('b')] }, context))).toBe('BUNDLE_INVALID');
  expect(code(() => joinText({ join: 'channels', padTo: 2, of: [sequence('a'), sequence('b')] }, context))).toBe(
    'BUNDLE_INVALID',
  );
});

test('position ids', () => {
  expect([...positions({ positions: 'grid', axes: 3 }, [2, 2], () => 0).data]).toEqual([
    0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 1,
  ]);
  expect(positions({ positions: 'zeros', axes: 3, like: 'text' }, [2, 2], () => 5)).toMatchObject({ shape: [5, 3] });
});
