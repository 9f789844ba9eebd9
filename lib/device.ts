/** Which device and dtype a pipeline runs on. */
import { DetailGuidanceError } from './errors';
import type { NativeAddon, NativeLoadOptions } from './native';

/**
 * 'auto' is the first CUDA device there is, else the CPU; 'cuda' is the first one.
 *
 * @returns 'cpu' or 'cuda:N'
 * @throws DEVICE_UNAVAILABLE with the reason why there is no such device
 */
export function resolveDevice(wanted: string, addon: Pick<NativeAddon, 'cuda'>): string {
  if (wanted === 'cpu') return 'cpu';
  const { available, devices, reason } = addon.cuda();
  if (wanted === 'auto') return available ? 'cuda:0' : 'cpu';
  const index = wanted === 'cuda' ? 0 : Number(wanted.slice('cuda:'.length));
  if (!available) {
    throw new DetailGuidanceError(
      'DEVICE_UNAVAILABLE',
      `options.device is '${wanted}', but CUDA cannot be used: ${reason ?? 'no reason is known'}; 'cpu' or 'auto' would be right.`,
      { found: wanted, expected: "'cpu' or 'auto'" },
    );
  }
  if (index < devices.length) return `cuda:${index}`;
  const expected = devices.map(({ name }, number) => `'cuda:${number}' (${name})`).join(', ');
  throw new DetailGuidanceError('DEVICE_UNAVAILABLE', `options.device is '${wanted}'; ${expected} would be right.`, {
    found: wanted,
    expected,
  });
}

/** 'auto' is bfloat16 on CUDA, float32 on the CPU. */
export function resolveDtype(wanted: NativeLoadOptions['dtype'] | 'auto', device: string): NativeLoadOptions['dtype'] {
  if (wanted !== 'auto') return wanted;
  return device === 'cpu' ? 'float32' : 'bfloat16';
}
