/** Long work on bytes in turns of the event loop: what comes out is what one go gives, and others have their turn. */
import { createHash } from 'node:crypto';

import { expect, test } from '@jest/globals';

import { copyInPieces, eachPiece } from '../../../lib/aside/pieces';
import { givenChecksums } from '../../../lib/call/given';
import type { GenerateRequest } from '../../../lib/request/generateOptions';

const bytes = (length: number) => Uint8Array.from({ length }, (_, at) => (at * 2654435761) >>> 24);

test.each([0, 1, 2 ** 18, 2 ** 18 + 1, 3 * 2 ** 18])('%p bytes are copied', async (length) => {
  const whole = bytes(length);
  const copy = await copyInPieces(whole);
  expect(Buffer.from(copy).equals(Buffer.from(whole))).toBe(true);
  expect(length === 0 || copy.buffer !== whole.buffer).toBe(true);
});

test('between two pieces everything else has its turn', async () => {
  let turns = 0;
  let isDone = false;
  const count = () => {
    turns++;
    if (!isDone) setImmediate(count);
  };
  setImmediate(count);
  const seen: number[] = [];
  await eachPiece(bytes(4 * 2 ** 18), () => seen.push(turns));
  isDone = true;
  expect(seen).toHaveLength(4);
  expect(new Set(seen).size).toBe(4);
});

test('checksums are of each image’s own row, and of pictures whole', async () => {
  const sha256 = (part: Uint8Array) => createHash('sha256').update(part).digest('hex');
  const rows = Float32Array.of(1, 2, 3, 4, 5, 6);
  const image = bytes(2 ** 19 + 5);
  const request = {
    conditioning: { text: { data: rows, shape: [2, 3], dtype: 'float32' } },
    negativeConditioning: { ['__proto__']: { data: rows, shape: [1, 6], dtype: 'float32' } },
    image,
    maskImage: { width: 2, height: 1, channels: 1, pixels: Uint8Array.of(0, 255) },
  } as unknown as GenerateRequest;
  const raw = new Uint8Array(rows.buffer);
  const common = {
    'negativeConditioning.__proto__': sha256(raw),
    image: sha256(image),
    maskImage: sha256(Uint8Array.of(0, 255)),
  };
  expect(await givenChecksums(request, 2)).toEqual([
    { 'conditioning.text': sha256(raw.subarray(0, 12)), ...common },
    { 'conditioning.text': sha256(raw.subarray(12)), ...common },
  ]);
  expect(await givenChecksums({ prompt: 'a dog', image } as unknown as GenerateRequest, 1)).toEqual([
    { image: sha256(image) },
  ]);
  expect(await givenChecksums({} as GenerateRequest, 2)).toEqual([{}, {}]);
});
