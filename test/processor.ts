/** What the processor that runs the tests can do, where results depend on it. */
import { existsSync, readFileSync } from 'node:fs';

import { native } from '../lib/native';

const processor = '/proc/cpuinfo';

/** Why this machine does not compute in 8 bits, or null: what `quantize` needs, where Linux says it. */
export const withoutInt8: string | null =
  existsSync(processor) && !/\bavx512_vnni\b/.test(readFileSync(processor, 'utf8'))
    ? 'this processor has no AVX-512 VNNI instructions'
    : null;

/** Whether products and attention in float32 are the addon's own: `attention` is a kind of fused chain then. */
export const hasOwnFloat32 = (): boolean => native().info().products.float32 === 'avx512';
