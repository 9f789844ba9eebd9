/** Why this machine does not compute in 8 bits, or null: what `quantize` needs, where Linux says it. */
import { existsSync, readFileSync } from 'node:fs';

const processor = '/proc/cpuinfo';

export const withoutInt8: string | null =
  existsSync(processor) && !/\bavx512_vnni\b/.test(readFileSync(processor, 'utf8'))
    ? 'this processor has no AVX-512 VNNI instructions'
    : null;
