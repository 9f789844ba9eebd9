/** The few instructions of pickles that torch.jit.save writes; what a case needs is put together of them. */
const bytes = (...values: number[]) => Buffer.from(values);

const u32 = (value: number) => {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
};

export const mark = bytes(0x28);
export const none = bytes(0x4e);
export const emptyTuple = bytes(0x29);
export const emptyList = bytes(0x5d);
export const emptyDict = bytes(0x7d);
export const build = Buffer.from('b');
export const reduce = Buffer.from('R');
export const appends = Buffer.from('e');
export const setItems = Buffer.from('u');

export const text = (value: string) =>
  Buffer.concat([Buffer.from('X'), u32(Buffer.byteLength(value)), Buffer.from(value)]);
export const global = (module: string, name: string) => Buffer.from(`c${module}\n${name}\n`);
export const bool = (value: boolean) => bytes(value ? 0x88 : 0x89);
export const put = (place: number) => Buffer.concat([Buffer.from('r'), u32(place)]);
export const get = (place: number) => Buffer.concat([Buffer.from('j'), u32(place)]);

export function int(value: number | bigint): Buffer {
  const buffer = Buffer.alloc(10);
  buffer.writeUInt8(0x8a, 0);
  buffer.writeUInt8(8, 1);
  buffer.writeBigInt64LE(BigInt(value), 2);
  return buffer;
}

export const tuple = (...items: Buffer[]) => Buffer.concat([mark, ...items, Buffer.from('t')]);
export const list = (...items: Buffer[]) => Buffer.concat([emptyList, mark, ...items, appends]);
export const dict = (...items: Buffer[]) => Buffer.concat([emptyDict, mark, ...items, setItems]);
export const call = (module: string, name: string, ...given: Buffer[]) =>
  Buffer.concat([global(module, name), tuple(...given), reduce]);

/** An object of a class of the archive, by its attributes. */
export const object = (name: string, attributes: Record<string, Buffer>, module = '__torch__') =>
  Buffer.concat([
    global(module, name),
    emptyTuple,
    bytes(0x81),
    dict(...Object.entries(attributes).flatMap(([key, value]) => [text(key), value])),
    build,
  ]);

export interface TensorParts {
  key?: string;
  storage?: string;
  device?: string;
  elements?: number | bigint;
  offset?: number | bigint;
  sizes?: (number | bigint)[];
  strides?: (number | bigint)[];
}

/** A tensor whose numbers are the record `data/<key>`. */
export function tensor({
  key = '0',
  storage = 'FloatStorage',
  device = 'cpu',
  elements = 4,
  offset = 0,
  sizes = [4],
  strides = [1],
}: TensorParts = {}): Buffer {
  const id = tuple(text('storage'), global('torch', storage), text(key), text(device), int(elements));
  return call(
    'torch._utils',
    '_rebuild_tensor_v2',
    Buffer.concat([id, Buffer.from('Q')]),
    int(offset),
    tuple(...sizes.map(int)),
    tuple(...strides.map(int)),
    bool(false),
    call('collections', 'OrderedDict'),
  );
}

export const pickle = (value: Buffer) => Buffer.concat([bytes(0x80, 2), value, Buffer.from('.')]);
