/**
 * The safetensors file format, both ways: 8 bytes little-endian header length, a JSON header, then the raw
 * little-endian data of the tensors. Reading trusts nothing: a truncated or altered header is refused before any
 * tensor is made.
 */
import { DetailGuidanceError } from '../validation/errors';

import { dtypes, elementCount, type Dtype, type Tensor } from './dtype';

export interface Safetensors {
  tensors: Record<string, Tensor>;
  /** The format's `__metadata__`: text by name. */
  metadata: Record<string, string>;
}

const names: Readonly<Record<Dtype, string>> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  uint8: 'U8',
  bool: 'BOOL',
};
const dtypeByName = new Map(Object.entries(names).map(([dtype, name]) => [name, dtype as Dtype]));

/** The reference implementation's own limit for the header. */
const maximumHeader = 100_000_000;

/** Writes tensors, widest dtype first and then by name, as the reference implementation does, so that all are aligned. */
export function encodeSafetensors(tensors: Record<string, Tensor>, metadata: Record<string, string> = {}): Uint8Array {
  const order = Object.keys(tensors).sort((a, b) => {
    const wide = dtypes[tensors[b]!.dtype].bytes - dtypes[tensors[a]!.dtype].bytes;
    return wide || (a < b ? -1 : 1);
  });
  const header: Record<string, unknown> = {};
  if (Object.keys(metadata).length > 0) header['__metadata__'] = metadata;
  let offset = 0;
  for (const name of order) {
    const { dtype, shape, data } = tensors[name]!;
    header[name] = { dtype: names[dtype], shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  let text = new TextEncoder().encode(JSON.stringify(header));
  const padded = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(0x20);
  padded.set(text);
  text = padded;
  const file = new Uint8Array(8 + text.length + offset);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  let position = 8 + text.length;
  for (const name of order) {
    const { data } = tensors[name]!;
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), position);
    position += data.byteLength;
  }
  return file;
}

/**
 * Reads the bytes of a safetensors file. The tensors are copies, so they outlive `bytes`.
 *
 * @throws BAD_TENSOR for a file that is truncated, whose header is not what the format asks for, or whose tensors
 *   overlap, leave gaps or do not fit their shapes.
 */
export function decodeSafetensors(bytes: Uint8Array): Safetensors {
  const { header, data } = split(bytes);
  const metadata = readMetadata(header['__metadata__']);
  const spans: { name: string; begin: number; end: number }[] = [];
  const tensors: Record<string, Tensor> = Object.create(null) as Record<string, Tensor>;
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const { dtype, shape, begin, end } = readEntry(name, entry, data.length);
    spans.push({ name, begin, end });
    const copy = new ArrayBuffer(end - begin);
    new Uint8Array(copy).set(data.subarray(begin, end));
    tensors[name] = { data: new dtypes[dtype].array(copy), shape, dtype };
  }
  checkSpans(spans, data.length);
  return { tensors, metadata };
}

function split(bytes: Uint8Array): { header: Record<string, unknown>; data: Uint8Array } {
  if (bytes.length < 8) throw bad(`has ${bytes.length} bytes`, 'at least the 8 bytes of the header length');
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(maximumHeader)) {
    throw bad(`says that its header has ${length} bytes`, `a header of at most ${maximumHeader} bytes`);
  }
  const start = 8 + Number(length);
  if (start > bytes.length) {
    throw bad(`is truncated: its header ends at byte ${start} and the file at byte ${bytes.length}`, 'the whole file');
  }
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, start)));
  } catch (cause) {
    throw bad('has a header that is not JSON', 'a JSON object in UTF-8', cause);
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) {
    throw bad('has a header that is not a JSON object', 'a JSON object');
  }
  return { header: header as Record<string, unknown>, data: bytes.subarray(start) };
}

function readMetadata(value: unknown): Record<string, string> {
  if (value === undefined) return {};
  const plain = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!plain || !Object.values(value).every((text) => typeof text === 'string')) {
    throw bad('has a __metadata__ that is not an object of texts', 'an object of texts');
  }
  return { ...(value as Record<string, string>) };
}

function readEntry(name: string, entry: unknown, available: number) {
  const { dtype: dtypeName, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
  const dtype = typeof dtypeName === 'string' ? dtypeByName.get(dtypeName) : undefined;
  if (dtype === undefined) {
    throw bad(
      `has the tensor '${name}' with dtype ${String(dtypeName)}`,
      `one of ${[...dtypeByName.keys()].join(', ')}`,
    );
  }
  const sizes = wholeNumbers(shape);
  if (!sizes) throw bad(`has the tensor '${name}' with shape ${JSON.stringify(shape)}`, 'whole numbers from 0');
  const span = wholeNumbers(offsets);
  if (!span || span.length !== 2 || span[0]! > span[1]!) {
    throw bad(
      `has the tensor '${name}' with data_offsets ${JSON.stringify(offsets)}`,
      'two whole numbers [begin, end]',
    );
  }
  const [begin, end] = span as [number, number];
  if (end > available) {
    throw bad(`is truncated: tensor '${name}' ends at data byte ${end} of ${available}`, 'the whole file');
  }
  const wanted = elementCount(sizes) * dtypes[dtype].bytes;
  if (end - begin !== wanted) {
    throw bad(`has ${end - begin} bytes for tensor '${name}' of ${dtype} [${sizes.join(', ')}]`, `${wanted} bytes`);
  }
  return { dtype, shape: sizes, begin, end };
}

function checkSpans(spans: { name: string; begin: number; end: number }[], available: number): void {
  spans.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let position = 0;
  for (const { name, begin, end } of spans) {
    if (begin !== position) {
      throw bad(
        `has a gap or an overlap before tensor '${name}', at data byte ${position}`,
        'tensors one after the other',
      );
    }
    position = end;
  }
  if (position !== available) {
    throw bad(`has ${available - position} bytes after its last tensor`, 'no bytes that belong to no tensor');
  }
}

function wholeNumbers(value: unknown): number[] | null {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0)
    ? (value as number[])
    : null;
}

function bad(found: string, expected: string, cause?: unknown): DetailGuidanceError {
  return new DetailGuidanceError('BAD_TENSOR', `The safetensors file ${found}; ${expected} would be right.`, {
    found,
    expected,
    cause,
  });
}
