/**
 * The safetensors file format, both ways: 8 bytes little-endian header length, a JSON header, then the raw
 * little-endian data of the tensors. Reading trusts nothing: a truncated or altered header is refused before any
 * tensor is made.
 */
import { type DetailGuidanceError } from '../validation/errors';
import { invalid, show } from '../validation/invalid';

import { checkTensor } from './check';
import { dtypes, elementCount, isShape, type Dtype, type Tensor } from './dtype';

/** The contents of a safetensors file. */
export interface Safetensors {
  /** By name. */
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

/**
 * Writes tensors, widest dtype first and then by name, as the reference implementation does, so that all are aligned.
 *
 * @throws BAD_TENSOR for what is no tensor, BAD_OPTION for one that is called `__metadata__`, as the format's own entry is, and
 *   for metadata that is no text
 */
export function encodeSafetensors(tensors: Record<string, Tensor>, metadata: Record<string, string> = {}): Uint8Array {
  if (typeof tensors !== 'object' || tensors === null)
    throw invalid('tensors', 'an object of tensors by name', tensors);
  const isText = typeof metadata === 'object' && metadata !== null;
  if (!isText || !Object.values(metadata).every((value) => typeof value === 'string')) {
    throw invalid('metadata', 'an object of texts by name', metadata);
  }
  for (const name of Object.keys(tensors)) {
    checkTensor(tensors[name], { name });
    if (name === '__metadata__') throw invalid('A tensor', "another name than the format's own", name);
  }
  const order = Object.keys(tensors).sort((a, b) => {
    const wide = dtypes[tensors[b]!.dtype].bytes - dtypes[tensors[a]!.dtype].bytes;
    return wide || (a < b ? -1 : 1);
  });
  // Any name is one, '__proto__' too.
  const header = Object.create(null) as Record<string, unknown>;
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
    // Of an empty one the buffer may have been given away.
    if (data.byteLength > 0) file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), position);
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
  if (!ArrayBuffer.isView(bytes) || bytes[Symbol.toStringTag] !== 'Uint8Array') throw bad('a Uint8Array', show(bytes));
  if (bytes.length < 8) throw bad('at least the 8 bytes of the header length', `${bytes.length} bytes`);
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(maximumHeader)) {
    throw bad(`a header of at most ${maximumHeader} bytes`, `one of ${length}`);
  }
  const start = 8 + Number(length);
  if (start > bytes.length) {
    throw bad(`${start} bytes or more`, `${bytes.length}: it is truncated`);
  }
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, start)));
  } catch (cause) {
    throw bad('a header of JSON in UTF-8', 'one that cannot be read', cause);
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) {
    throw bad('a header that is a JSON object', show(header));
  }
  return { header: header as Record<string, unknown>, data: bytes.subarray(start) };
}

function readMetadata(value: unknown): Record<string, string> {
  if (value === undefined) return {};
  const plain = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!plain || !Object.values(value).every((text) => typeof text === 'string')) {
    throw bad('a __metadata__ that is an object of texts', show(value));
  }
  return { ...(value as Record<string, string>) };
}

function readEntry(name: string, entry: unknown, available: number) {
  const { dtype: dtypeName, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
  const dtype = typeof dtypeName === 'string' ? dtypeByName.get(dtypeName) : undefined;
  if (dtype === undefined) {
    throw bad(`one of the dtypes ${[...dtypeByName.keys()].join(', ')} for tensor '${name}'`, show(dtypeName));
  }
  if (!isShape(shape)) throw bad(`a shape of at most 64 whole numbers from 0 for tensor '${name}'`, show(shape));
  // Two whole numbers from 0, as a shape is.
  if (!isShape(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    throw bad(`data_offsets [begin, end] for tensor '${name}'`, show(offsets));
  }
  const [begin, end] = offsets as [number, number];
  if (end > available) {
    throw bad(`${end} bytes of data or more, where tensor '${name}' ends`, `${available}: it is truncated`);
  }
  const expected = elementCount(shape) * dtypes[dtype].bytes;
  if (end - begin !== expected) {
    throw bad(`${expected} bytes for tensor '${name}' of ${dtype} [${shape.join(', ')}]`, `${end - begin}`);
  }
  return { dtype, shape, begin, end };
}

function checkSpans(spans: { name: string; begin: number; end: number }[], available: number): void {
  spans.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let position = 0;
  for (const { name, begin, end } of spans) {
    if (begin !== position) {
      throw bad('tensors one after the other', `a gap or an overlap before tensor '${name}', at data byte ${position}`);
    }
    position = end;
  }
  if (position !== available) {
    throw bad('no bytes after the last tensor', `${available - position}`);
  }
}

function bad(expected: string, received: string, cause?: unknown): DetailGuidanceError {
  return invalid('The safetensors file', expected, received, { code: 'BAD_TENSOR', shown: received, cause });
}
