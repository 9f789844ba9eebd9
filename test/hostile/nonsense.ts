/** Values that a function of the binding is not made for. */

/** Of every kind there is; new ones at every call, since some are used up. */
export function nonsense(): unknown[] {
  const detached = new Float32Array(4);
  structuredClone(detached, { transfer: [detached.buffer] });
  const long: unknown[] = [];
  long.length = 2 ** 32 - 1;
  const throwing = new Proxy(
    {},
    {
      get() {
        throw new Error('a getter of the caller');
      },
    },
  );
  return [
    undefined,
    null,
    true,
    0,
    -1,
    1.5,
    NaN,
    Infinity,
    -Infinity,
    2 ** 31,
    2 ** 53,
    1e308,
    '',
    'x',
    'a\0b',
    '\ud800',
    'cuda:99',
    'x'.repeat(100_000),
    Symbol('x'),
    0n,
    -1n,
    2n ** 64n,
    {},
    Object.create(null),
    [],
    [[]],
    [null],
    [NaN],
    [-1],
    [2 ** 40, 2 ** 40],
    long,
    () => 1,
    new Date(NaN),
    new ArrayBuffer(8),
    new DataView(new ArrayBuffer(8)),
    new Float32Array([NaN, Infinity]),
    new Uint8Array(3),
    new BigUint64Array(2),
    detached,
    throwing,
    new Proxy([], {}),
    ...tensors(detached),
  ];
}

/** Tensors that are none. */
function tensors(detached: Float32Array): unknown[] {
  const dtype = 'float32';
  const growing = new Float32Array(new SharedArrayBuffer(16));
  const half = (globalThis as { Float16Array?: new (length: number) => ArrayBufferView }).Float16Array;
  return [
    { data: detached, shape: [4], dtype },
    { data: detached, shape: [0], dtype },
    { data: growing, shape: [4], dtype },
    { data: new Float32Array(4), shape: [2 ** 62, 4], dtype },
    { data: new Float32Array(4), shape: [2 ** 52, 2 ** 52, 0], dtype },
    { data: new Float32Array(0), shape: [0], dtype },
    { data: new Float32Array(1), shape: [], dtype },
    { data: new Float32Array(4).fill(NaN), shape: [4], dtype },
    { data: BigInt64Array.of(1n), shape: [], dtype: 'int64' },
    { data: BigInt64Array.of(-(2n ** 63n)), shape: [1], dtype: 'int64' },
    { data: new Uint8Array([7]), shape: [1], dtype: 'bool' },
    { data: new Float32Array(4), shape: Array.from({ length: 100 }, () => 1), dtype },
    ...(half ? ['float16', 'bfloat16', dtype].map((kind) => ({ data: new half(4), shape: [4], dtype: kind })) : []),
  ];
}

/** Receivers that a method of `self` is not made for. */
export function strangers(self: object): unknown[] {
  return [Object.create(self), new Proxy(self, {}), Object.getPrototypeOf(self), self.constructor, globalThis];
}

/** Copies of what `make` gives with one place changed to nonsense, or left out: every place there is. */
export function variantsOf(make: () => unknown, amount: 'all' | 'small' = 'all'): unknown[] {
  const fewer = [
    undefined,
    -1,
    NaN,
    Infinity,
    2 ** 53,
    [],
    [0.5],
    { data: new Float32Array(0), shape: [0], dtype: 'float32' },
  ];
  const variants: unknown[] = [make()];
  for (const path of pathsOf(make())) {
    for (const value of amount === 'all' ? nonsense() : fewer) {
      const changed = make() as Record<string, unknown>;
      const parent = path.slice(0, -1).reduce((at, key) => at[key] as Record<string, unknown>, changed);
      parent[path.at(-1)!] = value;
      variants.push(changed);
    }
  }
  return variants;
}

function pathsOf(value: unknown, before: string[] = []): string[][] {
  if (value === null || typeof value !== 'object' || ArrayBuffer.isView(value)) return [];
  return Object.keys(value).flatMap((key) => {
    const path = [...before, key];
    return [path, ...pathsOf((value as Record<string, unknown>)[key], path)];
  });
}
