/** Seeded choices made while planning, the same on every machine. */

/** Mulberry32: uniform numbers in [0, 1) from a seed; its low 32 bits and its high ones both count. */
export function uniform(seed: number): () => number {
  let state = (seed ^ Math.floor(seed / 2 ** 32) ^ 0x9e3779b9) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `count` different elements of `pool`, in the order of the pool. */
export function draw<Element>(seed: number, pool: readonly Element[], count: number): Element[] {
  const random = uniform(seed);
  const indices = pool.map((_, index) => index);
  for (let index = 0; index < count; index++) {
    const other = index + Math.floor(random() * (indices.length - index));
    [indices[index], indices[other]] = [indices[other]!, indices[index]!];
  }
  return indices
    .slice(0, count)
    .sort((a, b) => a - b)
    .map((index) => pool[index]!);
}
