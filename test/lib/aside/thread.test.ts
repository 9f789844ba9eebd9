/** PNG on another thread. */
import { expect, test } from '@jest/globals';

import { encodePng } from '../../../lib/image/png';
import { encodePngAside } from '../../../lib/call/png';

function noise(side: number) {
  const pixels = Uint8Array.from({ length: side * side * 3 }, (_, index) => (index * 2654435761) >>> 24);
  return { width: side, height: side, channels: 3 as const, pixels, text: { note: 'the same' } };
}

test.each([16, 300])('gives the bytes that this thread gives, at %i pixels a side', async (side) => {
  const pictures = [noise(side), { ...noise(side), text: { note: 'another' } }];
  const aside = await Promise.all(pictures.map((picture) => encodePngAside(picture)));
  aside.forEach((png, index) => expect(Buffer.from(png).equals(Buffer.from(encodePng(pictures[index]!)))).toBe(true));
});

test('leaves the event loop free, and the pixels to the caller', async () => {
  const picture = noise(600);
  let turns = 0;
  const count = setInterval(() => turns++, 0);
  await encodePngAside(picture);
  clearInterval(count);
  expect(turns).toBeGreaterThan(1);
  expect(picture.pixels).toHaveLength(600 * 600 * 3);
});

test('says what is wrong with a picture, as on this thread', async () => {
  const wrong = { ...noise(300), pixels: new Uint8Array(30_000) };
  await expect(encodePngAside(wrong)).rejects.toThrow(/270000|270 ?000/);
});
