/** What the caller gave that is too large for a picture's metadata: it says their checksums. */
import { isUint8Array } from 'node:util/types';
import { createHash } from 'node:crypto';

import { eachPiece } from '../aside/pieces';
import type { GenerateRequest } from '../request/generateOptions';
import type { Tensor } from '../tensor';

/** SHA-256 by name, hexadecimal. */
export type Checksums = Readonly<Record<string, string>>;

/** For each image those of its own rows; empty where nothing was given. */
export async function givenChecksums(request: GenerateRequest, images: number): Promise<Checksums[]> {
  const named: [string, string[]][] = [];
  for (const [name, rows] of given(request)) {
    const checksums: string[] = [];
    for (const row of rows) checksums.push(await checksumOf(row));
    named.push([name, checksums]);
  }
  const ofImage = (image: number) =>
    Object.fromEntries(named.map(([name, checksums]) => [name, checksums[image] ?? checksums[0]!]));
  return Array.from({ length: images }, (_, image) => ofImage(image));
}

/** By name the bytes of each image's row, or of the one that all have. */
function given({
  prompt,
  conditioning,
  negativeConditioning,
  image,
  maskImage,
}: GenerateRequest): [string, Uint8Array[]][] {
  const pictures = Object.entries({ image, maskImage }).flatMap(([name, picture]): [string, Uint8Array[]][] => {
    if (picture === undefined) return [];
    return [[name, [isUint8Array(picture) ? picture : picture.pixels]]];
  });
  // What a prompt became is said by the prompt.
  if (prompt !== undefined) return pictures;
  const named = (prefix: string, tensors: Record<string, Tensor> = {}) =>
    Object.entries(tensors).map(([name, tensor]): [string, Uint8Array[]] => [`${prefix}.${name}`, rowsOf(tensor)]);
  return [...named('conditioning', conditioning), ...named('negativeConditioning', negativeConditioning), ...pictures];
}

function rowsOf({ data, shape }: Tensor): Uint8Array[] {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const rows = Math.max(1, shape[0] ?? 1);
  const size = bytes.length / rows;
  return Array.from({ length: rows }, (_, row) => bytes.subarray(row * size, (row + 1) * size));
}

async function checksumOf(bytes: Uint8Array): Promise<string> {
  const hash = createHash('sha256');
  await eachPiece(bytes, (part) => hash.update(part));
  return hash.digest('hex');
}
