/** Bytes that are nearly right. */
import type { Random } from './random';

const numbers = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

/** Changes a few places: bits, numbers, pieces taken out, doubled, swapped, the end cut off. */
export function mutateBytes(random: Random, bytes: Buffer, most = 4): Buffer {
  let changed = Buffer.from(bytes);
  random.times(most, () => {
    if (changed.length === 0) return;
    const at = random.below(changed.length);
    const length = Math.min(1 + random.below(random.chance(0.8) ? 8 : 1000), changed.length - at);
    switch (random.below(7)) {
      case 0:
        changed[at] = changed[at]! ^ (1 << random.below(8));
        break;
      case 1:
        changed[at] = random.below(256);
        break;
      case 2:
        if (changed.length - at >= 4) changed.writeUInt32LE(random.pick(numbers), at);
        break;
      case 3:
        changed = Buffer.concat([changed.subarray(0, at), changed.subarray(at + length)]);
        break;
      case 4:
        changed = Buffer.concat([changed.subarray(0, at + length), changed.subarray(at)]);
        break;
      case 5:
        changed.copyWithin(random.below(changed.length), at, at + length);
        break;
      default:
        if (random.chance(0.2)) changed = changed.subarray(0, at);
    }
  });
  return changed;
}
