/** What a copied program says of the device and the precision, for every place that a picture may come from. */
import { describe, expect, test } from '@jest/globals';

import type { BundleInfo } from '../../studio/src/api/types';
import { originOf } from '../../studio/src/copy/loading';

import { pngSaying } from './drop';

const of = (device: string | null, dtype: string | null) => ({ device, dtype }) as BundleInfo;
const made = (device: string, dtype: string, quantize?: unknown) => {
  const bundle = { name: 'x' };
  return pngSaying(JSON.stringify({ format: 1, version: '1', device, dtype, quantize, bundle, options: {} }));
};

describe('a picture of this server', () => {
  test.each([
    ['nothing was told', {}, of('cuda:0', 'float32'), {}],
    ['a device', { device: 'cpu' }, of('cpu', 'float32'), { device: 'cpu' }],
    ['a device that is not loaded yet', { device: 'cuda:1' }, of(null, null), { device: 'cuda:1' }],
    ['auto, as what it came to', { dtype: 'auto' }, of('cpu', 'bfloat16'), { dtype: 'bfloat16' }],
    ['auto, before that is known', { dtype: 'auto' }, of(null, null), { dtype: 'auto' }],
    ['no fusion', { fuse: false }, of('cpu', 'float32'), { fuse: false }],
  ] as const)('%s', (_, forced, bundle, loading) => {
    expect(originOf(null, bundle, forced)).toEqual({ loading, elsewhere: null });
    const { device, dtype } = bundle;
    if (device && dtype) expect(originOf(made(device, dtype), bundle, forced)).toEqual({ loading, elsewhere: null });
  });
});

describe('a picture from elsewhere', () => {
  test('another device, dtype or quantisation is named, and said for curl', () => {
    expect(originOf(made('cpu', 'float32'), of('cuda:0', 'float32'), {})).toEqual({
      loading: { device: 'cpu' },
      elsewhere: 'on cpu, in float32',
    });
    expect(originOf(made('cpu', 'float32', 'int8'), of('cpu', 'float32'), {})).toEqual({
      loading: { quantize: 'int8' },
      elsewhere: 'on cpu, in float32 with 8 bit weights',
    });
    expect(originOf(made('cpu', 'bfloat16'), of('cpu', 'float32'), { device: 'cpu' })).toEqual({
      loading: { device: 'cpu', dtype: 'bfloat16' },
      elsewhere: 'on cpu, in bfloat16',
    });
  });

  test('where other machines make them, or nothing is loaded yet, the picture alone is asked', () => {
    for (const forced of [null, {}])
      expect(originOf(made('cuda:2', 'float16'), of(null, null), forced)).toEqual({
        loading: { device: 'cuda:2', dtype: 'float16' },
        elsewhere: null,
      });
    expect(originOf(null, of(null, null), null)).toEqual({ loading: {}, elsewhere: null });
  });

  test('words of a stranger are no device and no dtype', () => {
    expect(originOf(made('$(rm x)', '`rm x`'), of('cpu', 'float32'), {}).loading).toEqual({});
  });
});
