/** Values that options are not made for. */
import type { Random } from './random';

/** What a callback of the caller throws. */
export const callersOwn = 'a callback of the caller';

const texts = [
  '',
  ' ',
  'Sneaker',
  'auto',
  'all',
  '__proto__',
  'a\0b',
  '…'.repeat(200),
  '../../x',
  '1e999',
  '-1',
  'NaN',
  '\ud800',
  '٣',
];
const numbers = [
  0,
  -0,
  1,
  -1,
  2,
  0.5,
  -0.5,
  1e-320,
  1e308,
  NaN,
  Infinity,
  -Infinity,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  -(2 ** 53),
  3.7,
];

/** Anything at all. */
export function anything(random: Random, depth = 0): unknown {
  switch (random.below(depth > 2 ? 9 : 14)) {
    case 0:
    case 1:
      return random.pick(numbers);
    case 2:
    case 3:
      return random.pick(texts);
    case 4:
      return random.chance(0.5);
    case 5:
      return random.pick([null, undefined]);
    case 6:
      return random.pick([0n, 1n, -1n, 2n ** 63n, 2n ** 64n, -(2n ** 64n)]);
    case 7:
      return random.pick([
        Symbol('x'),
        () => 1,
        () => {
          throw new Error(callersOwn);
        },
        new Date(NaN),
        /x/,
        new Map([[1, 2]]),
      ]);
    case 8:
      return random.pick([
        new Uint8Array(4),
        new Float32Array([NaN, 1]),
        new BigInt64Array(2),
        new DataView(new ArrayBuffer(4)),
        Buffer.from('x'),
      ]);
    case 9:
    case 10:
      return Array.from({ length: random.below(5) }, () => anything(random, depth + 1));
    case 11:
      return tensor(random);
    case 12: {
      const cyclic: Record<string, unknown> = { a: 1 };
      cyclic['self'] = cyclic;
      return random.pick([cyclic, Object.create(null), new Proxy({}, {}), Object.freeze({})]);
    }
    default:
      return Object.fromEntries(
        Array.from({ length: random.below(4) }, () => [
          random.pick(['scale', 'layer', 'kind', 'x', 'length', 'then']),
          anything(random, depth + 1),
        ]),
      );
  }
}

/** A tensor, or nearly one. */
export function tensor(random: Random): unknown {
  const shape = random.pick([
    [1, 1, 28, 28],
    [2, 1, 28, 28],
    [1],
    [],
    [0],
    [-1],
    [2 ** 40, 2 ** 40],
    [NaN],
    [1.5],
    [28, 28],
    'x',
    null,
  ]);
  const count = Array.isArray(shape)
    ? Math.min(
        shape.reduce((product: number, size) => product * Number(size), 1),
        2000,
      )
    : 1;
  const length = Number.isFinite(count) && count >= 0 && Number.isInteger(count) ? count : 1;
  const data = random.pick([
    new Float32Array(length),
    new Float32Array(length).fill(NaN),
    new BigInt64Array(length),
    new Uint8Array(3),
    [1, 2],
    null,
  ]);
  return {
    data,
    shape,
    dtype: random.pick(['float32', 'float32', 'int64', 'float16', 'bool', 'complex64', undefined, 7]),
  };
}

/** A copy of `value` with a few places changed, left out or added. `keys`: names of options there may be. */
export function mutateValue(
  random: Random,
  value: Record<string, unknown>,
  keys: readonly string[],
  most = 3,
): Record<string, unknown> {
  const changed = copy(value) as Record<string, unknown>;
  random.times(most, () => {
    const places = objectsIn(changed);
    const place = random.pick(places);
    const present = Object.keys(place);
    const key = present.length > 0 && random.chance(0.5) ? random.pick(present) : random.pick(keys);
    if (random.chance(0.1)) delete place[key];
    else place[key] = random.chance(0.1) ? changed : anything(random);
  });
  return changed;
}

function copy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copy);
  if (value === null || typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copy(item)]));
}

function objectsIn(value: unknown, seen = new Set<unknown>()): Record<string, unknown>[] {
  if (value === null || typeof value !== 'object' || seen.has(value) || ArrayBuffer.isView(value)) return [];
  seen.add(value);
  const inner = Object.values(value).flatMap((item) => objectsIn(item, seen));
  return Object.isFrozen(value) ? inner : [value as Record<string, unknown>, ...inner];
}
