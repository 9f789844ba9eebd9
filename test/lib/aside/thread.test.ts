/** PNG on another thread. */
import { expect, test } from '@jest/globals';

import { encodeApng } from '../../../lib/image/apng';
import { encodePng } from '../../../lib/image/png';
import { encodeApngAside } from '../../../lib/call/png';

function noise(side: number, frames = 1) {
  const frame = (from: number) =>
    Uint8Array.from({ length: side * side * 3 }, (_, index) => ((from + index) * 2654435761) >>> 24);
  const form = { width: side, height: side, channels: 3 as const, text: { note: 'the same' } };
  return { ...form, frames: Array.from({ length: frames }, (_, from) => frame(from)), frameRate: 24 };
}

test.each([16, 300])('gives the bytes that this thread gives, at %i pixels a side', async (side) => {
  const pictures = [noise(side), { ...noise(side), text: { note: 'another' } }];
  const aside = await Promise.all(pictures.map((picture) => encodeApngAside(picture)));
  aside.forEach((png, index) => {
    const { width, height, channels, text, frames } = pictures[index]!;
    const wanted = encodePng({ width, height, channels, text, pixels: frames[0]! });
    expect(Buffer.from(png).equals(Buffer.from(wanted))).toBe(true);
  });
});

test.each([16, 150])('so of a video, at %i pixels a side', async (side) => {
  const video = noise(side, 5);
  const wanted = Buffer.from(encodeApng(video));
  expect(Buffer.from(await encodeApngAside(video)).equals(wanted)).toBe(true);
  expect(video.frames.map(({ length }) => length)).toEqual(Array(5).fill(side * side * 3));
  expect(Buffer.from(await encodeApngAside(video, true)).equals(wanted)).toBe(true);
});

test('leaves the event loop free, and the pixels to the caller', async () => {
  const picture = noise(600);
  let turns = 0;
  const count = setInterval(() => turns++, 0);
  await encodeApngAside(picture);
  clearInterval(count);
  expect(turns).toBeGreaterThan(1);
  expect(picture.frames[0]).toHaveLength(600 * 600 * 3);
});

test('says what is wrong with a picture, as on this thread', async () => {
  const wrong = { ...noise(300), frames: [new Uint8Array(30_000)] };
  await expect(encodeApngAside(wrong)).rejects.toThrow(/270000|270 ?000/);
  await expect(encodeApngAside({ ...wrong, frames: [...noise(300).frames, ...wrong.frames] })).rejects.toThrow(
    /270000|270 ?000/,
  );
  await expect(encodeApngAside({ ...noise(16, 2), frameRate: 0 })).rejects.toMatchObject({ code: 'BAD_OPTION' });
});
