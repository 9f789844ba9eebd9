import { describe, expect, test } from '@jest/globals';

import { cpuHasBfloat16, resolveDevice, resolveDtype } from '../../lib/model/device';
import { native } from '../../lib/native';

import { embeddedManifest, errorOf } from './model';

const none = { cuda: () => ({ available: false, devices: [], reason: 'no NVIDIA driver was found' }) };
const two = {
  cuda: () => ({
    available: true,
    devices: [
      { name: 'A', memory: 1 },
      { name: 'B', memory: 2 },
    ],
    reason: null,
  }),
};

describe('device', () => {
  test.each([
    ['auto', none, 'cpu'],
    ['auto', two, 'cuda:0'],
    ['cpu', two, 'cpu'],
    ['cuda', two, 'cuda:0'],
    ['cuda:1', two, 'cuda:1'],
  ])('%s', (wanted, addon, found) => {
    expect(resolveDevice(wanted, addon)).toBe(found);
  });

  test('where there is none, or not so many, says why and what is expected', () => {
    expect(errorOf(() => resolveDevice('cuda', none))).toMatchObject({
      code: 'DEVICE_UNAVAILABLE',
      message: expect.stringMatching(/expected 'cpu' or 'auto', received 'cuda'.*no NVIDIA driver was found/),
    });
    expect(errorOf(() => resolveDevice('cuda:2', two)).message).toMatch(
      /expected 'cuda:0' \(A\), 'cuda:1' \(B\), received 'cuda:2'/,
    );
  });
});

describe('dtype auto', () => {
  const { transformer } = embeddedManifest();
  const measured = (bfloat16: number) => ({ ...transformer, psnr: { bfloat16 } });
  const has = () => true;

  test('is bfloat16 where the device has it and the picture stays within 40 dB', () => {
    expect(resolveDtype('auto', 'cpu', measured(45), has)).toEqual({
      dtype: 'bfloat16',
      reason: 'bfloat16: 45.0 dB PSNR of bfloat16 to float32, at least 40.',
    });
    expect(resolveDtype('auto', 'cuda:0', measured(45), () => false).dtype).toBe('bfloat16');
  });

  test('is float32 otherwise, and says why', () => {
    expect(resolveDtype('auto', 'cpu', measured(39), has).reason).toMatch(/less than 40/);
    expect(resolveDtype('auto', 'cpu', measured(45), () => false).reason).toMatch(/no faster in bfloat16/);
    expect(resolveDtype('auto', 'cpu', { ...transformer, psnr: undefined }, has).reason).toMatch(/does not say/);
  });

  test('is float32 where the addon multiplies bfloat16 as float32', () => {
    const isWidened = native().info().products.bfloat16 === 'avx512';
    const expected = cpuHasBfloat16() && !isWidened ? 'bfloat16' : 'float32';
    expect(resolveDtype('auto', 'cpu', measured(45)).dtype).toBe(expected);
  });

  test('is the dtype that the weights are stored in where nothing was measured', () => {
    const unmeasured = (dtype: 'float16' | 'bfloat16') => ({ dtype, psnr: undefined });
    expect(resolveDtype('auto', 'cuda:0', unmeasured('bfloat16'))).toEqual({
      dtype: 'bfloat16',
      reason: 'bfloat16: the weights are stored in it.',
    });
    expect(resolveDtype('auto', 'cpu', unmeasured('bfloat16'), has).dtype).toBe('bfloat16');
    expect(resolveDtype('auto', 'cpu', unmeasured('bfloat16'), () => false).dtype).toBe('float32');
    expect(resolveDtype('auto', 'cuda:0', unmeasured('float16')).dtype).toBe('float16');
    expect(resolveDtype('auto', 'cpu', unmeasured('float16'), has).dtype).toBe('float32');
  });

  test('by name is what was asked for', () => {
    expect(resolveDtype('float16', 'cpu', transformer)).toEqual({ dtype: 'float16', reason: null });
  });
});
