/** The header of NumPy's `.npy` format, versions 1 to 3: magic, version, header length, a Python dictionary in text. */
import type { FileHandle } from 'node:fs/promises';

import { type DetailGuidanceError } from '../validation/errors';
import { invalid } from '../validation/invalid';

export interface NpyHeader {
  /** As NumPy writes it: `|u1`, `<f4`. */
  dtype: string;
  fortranOrder: boolean;
  shape: number[];
  /** Where the values begin. */
  offset: number;
}

/** @throws BAD_TENSOR for a file that does not begin as NumPy's do */
export async function readNpyHeader(handle: FileHandle, file: string): Promise<NpyHeader> {
  const start = Buffer.alloc(12);
  await handle.read(start, 0, start.length, 0);
  if (start.toString('latin1', 0, 6) !== '\x93NUMPY') throw notNpy(file, 'another beginning');
  const long = start[6]! >= 2;
  const length = long ? start.readUInt32LE(8) : start.readUInt16LE(8);
  const from = long ? 12 : 10;
  if (length > 1 << 16) throw notNpy(file, `a header of ${length} bytes`);
  const header = Buffer.alloc(length);
  const { bytesRead } = await handle.read(header, 0, length, from);
  const text = header.toString('latin1');
  const dtype = /'descr':\s*'([^']+)'/.exec(text)?.[1];
  const order = /'fortran_order':\s*(True|False)/.exec(text)?.[1];
  const shape = /'shape':\s*\(([\d\s,]*)\)/.exec(text)?.[1];
  if (bytesRead < length || dtype === undefined || order === undefined || shape === undefined) {
    throw notNpy(file, 'a header without dtype, order or shape');
  }
  const sizes = shape.split(',').filter((size) => size.trim() !== '');
  return { dtype, fortranOrder: order === 'True', shape: sizes.map(Number), offset: from + length };
}

function notNpy(file: string, shown: string): DetailGuidanceError {
  return invalid(file, 'a file of numpy.save', file, { code: 'BAD_TENSOR', shown });
}
