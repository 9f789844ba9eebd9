/** The seeds of a call, one for each image. */
import { randomInt } from 'node:crypto';

import { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { invalid } from '../validation/invalid';
import { either } from '../validation/vocabulary';

/** A whole number from 0 to 2^64 − 1; above 2^53 − 1, where numbers are no longer exact, a bigint. */
export type Seed = number | bigint;

/** torch's generators take 64 bits. */
const count = 2n ** 64n;

const expected =
  'a whole number from 0 to 2^64 - 1 (a bigint above 2^53 - 1), a list with one for each image, or nothing for one that is drawn';

const oneSeed = either(
  [
    z.int({ error: expected }).min(0, expected),
    z
      .bigint({ error: expected })
      .min(0n, expected)
      .max(count - 1n, expected),
  ],
  expected,
);

export const seedsSchema = describedBy<Seed | Seed[]>()(
  either([oneSeed, z.array(oneSeed, { error: expected }).min(1, expected)], expected),
);

/**
 * Seed of each image: the given one and the following ones (after the last comes 0), the given list, or drawn.
 *
 * @throws BAD_OPTION for a list with another number of seeds than images
 */
export function chooseSeeds(seed: Seed | Seed[] | undefined, images: number): Seed[] {
  if (!Array.isArray(seed)) {
    const first = BigInt(seed ?? randomInt(2 ** 32));
    return Array.from({ length: images }, (_, image) => asSeed((first + BigInt(image)) % count));
  }
  if (seed.length === images) return seed.map((value) => asSeed(BigInt(value)));
  throw invalid('options.seed', `one seed for each of ${images} images`, seed);
}

/** A number where numbers are exact. */
function asSeed(seed: bigint): Seed {
  return seed <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(seed) : seed;
}

/** The bits of a seed that libtorch's generator for the CPU draws from (a Mersenne twister, seeded with 32 bits). */
export function lowBits(seed: Seed): number {
  return Number(BigInt.asUintN(32, BigInt(seed)));
}
