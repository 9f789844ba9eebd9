/** Videos as animated PNG, read again by three readers that are not ours. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

import { afterAll, expect, test } from '@jest/globals';
import { decodeApng } from 'fast-png';

import { encodeApng, type Animation } from '../../../lib/image/apng';
import { decodePicture } from '../../../lib/image/decode';
import { decodePng, encodePng } from '../../../lib/image/png';
import { testPython } from '../../../scripts/test-packages.cjs';
import { errorOf } from '../model';

const folder = mkdtempSync(join(tmpdir(), 'animated-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A square that moves over a ground that changes: no frame is another's. */
function video(channels: 1 | 3, count: number, frameRate = 16): Animation {
  const [width, height] = [31, 18];
  const frames = Array.from({ length: count }, (_, frame) =>
    Uint8Array.from({ length: width * height * channels }, (_, at) => {
      const [x, y] = [Math.floor(at / channels) % width, Math.floor(at / channels / width)];
      const isInside = x >= frame && x < frame + 6 && y >= 4 && y < 10;
      return isInside ? 255 - (at % channels) * 60 : (x * 3 + y * 5 + frame * 7 + (at % channels)) % 256;
    }),
  );
  return { width, height, channels, frames, frameRate, text: { note: 'a video' } };
}

/** Names and contents, every checksum compared. */
function chunksOf(bytes: Uint8Array): { name: string; body: Buffer }[] {
  const file = Buffer.from(bytes);
  expect(file.subarray(0, 8).toString('latin1')).toBe('\x89PNG\r\n\x1a\n');
  const found = [];
  for (let at = 8; at < file.length;) {
    const length = file.readUInt32BE(at);
    expect(file.readUInt32BE(at + 8 + length)).toBe(crc32(file.subarray(at + 4, at + 8 + length)));
    found.push({
      name: file.toString('latin1', at + 4, at + 8),
      body: file.subarray(at + 8, at + 8 + length),
    });
    at += length + 12;
  }
  return found;
}

test('has the chunks of the specification, in order and numbered', () => {
  const found = chunksOf(encodeApng(video(3, 3)));
  const names = ['IHDR', 'acTL', 'tEXt', 'fcTL', 'IDAT', 'fcTL', 'fdAT', 'fcTL', 'fdAT', 'IEND'];
  expect(found.map(({ name }) => name)).toEqual(names);
  const [control] = found.filter(({ name }) => name === 'acTL');
  expect([control!.body.readUInt32BE(0), control!.body.readUInt32BE(4)]).toEqual([3, 0]);
  const numbered = found.filter(({ name }) => name === 'fcTL' || name === 'fdAT');
  expect(numbered.map(({ body }) => body.readUInt32BE(0))).toEqual([0, 1, 2, 3, 4]);
  for (const { body } of found.filter(({ name }) => name === 'fcTL')) {
    expect([4, 8, 12, 16].map((at) => body.readUInt32BE(at))).toEqual([31, 18, 0, 0]);
    expect([...body.subarray(20)]).toEqual([0, 1, 0, 16, 0, 0]);
  }
});

test.each([1, 3] as const)('a plain reader finds the first frame and the text, with %i channels', async (channels) => {
  const animation = video(channels, 4);
  const bytes = encodeApng(animation);
  const { width, height } = animation;
  const first = { width, height, channels, pixels: animation.frames[0] };
  expect(decodePng(bytes)).toEqual({ ...first, text: { note: 'a video' } });
  expect(await decodePicture(bytes, 'image')).toEqual(first);
});

test.each([1, 3] as const)('a reader of animations finds every frame, with %i channels', (channels) => {
  const animation = video(channels, 5);
  const { frames, numberOfPlays, text } = decodeApng(encodeApng(animation), { checkCrc: true });
  expect(frames.map(({ data }) => [...data])).toEqual(animation.frames.map((pixels) => [...pixels]));
  expect(frames.map(({ delayNumber, delayDenominator }) => [delayNumber, delayDenominator])).toEqual(
    Array(5).fill([1, 16]),
  );
  expect([numberOfPlays, text]).toEqual([0, { note: 'a video' }]);
});

const script = `
import json, sys
from PIL import Image
shown = Image.open(sys.argv[1])
frames = []
for at in range(shown.n_frames):
    shown.seek(at)
    frames.append([shown.info["duration"], shown.convert(sys.argv[2]).tobytes().hex()])
print(json.dumps([shown.info["loop"], frames]))
`;
const python = testPython();

(python.path ? test : test.skip).each([
  [1, 'L'],
  [3, 'RGB'],
] as const)('Pillow finds every frame and how long it stays, with %i channels', (channels, mode) => {
  const file = join(folder, `${mode}.apng`);
  const animation = video(channels, 5, 8);
  writeFileSync(file, encodeApng(animation));
  const { stdout, stderr } = spawnSync(python.path!, ['-c', script, file, mode], { encoding: 'utf8' });
  expect(stderr).toBe('');
  const wanted = animation.frames.map((pixels) => [125, Buffer.from(pixels).toString('hex')]);
  expect(JSON.parse(stdout)).toEqual([0, wanted]);
});

test.each([
  [0.1, 1000, 100],
  [12.5, 1000, 12_500],
  [24_000 / 1001, 1000, 23_976],
  [24, 1, 24],
  [59.94, 1000, 59_940],
  [119.88, 100, 11_988],
  [240, 1, 240],
])('%p frames a second are %i / %i seconds each', (frameRate, numerator, denominator) => {
  const { frames } = decodeApng(encodeApng(video(1, 2, frameRate)));
  expect([frames[1]!.delayNumber, frames[1]!.delayDenominator]).toEqual([numerator, denominator]);
});

test.each([0, -1, 0.05, 241, NaN, '24'])('%p frames a second are refused', (frameRate) => {
  expect(errorOf(() => encodeApng(video(1, 2, frameRate as number)))).toMatchObject({
    code: 'BAD_OPTION',
    message: expect.stringMatching(/^frameRate: expected a number from 0.1 to 240, received/),
  });
});

test('one frame is the plain PNG, to the byte', () => {
  const { frames, frameRate, ...form } = video(3, 1);
  expect(encodeApng({ ...form, frames, frameRate })).toEqual(encodePng({ ...form, pixels: frames[0]! }));
});

test('frames of two sizes are refused', () => {
  const animation = video(3, 2);
  const frames = [animation.frames[0]!, new Uint8Array(3)];
  expect(errorOf(() => encodeApng({ ...animation, frames }))).toMatchObject({ code: 'BAD_TENSOR' });
});

test('what a file says of the frames behind the first is not read', () => {
  // As large as it likes: neither unpacked nor bounded.
  const bytes = encodeApng(video(3, 2));
  const at = Buffer.from(bytes).indexOf('fdAT');
  const bent = Uint8Array.from(bytes);
  bent.fill(255, at + 8, at + 16);
  bent.set(chunkEnd(bent, at), at + 4 + new DataView(bent.buffer).getUint32(at - 4));
  expect(decodePng(bent).pixels).toEqual(video(3, 2).frames[0]);
});

/** The checksum of the chunk whose name is at a place. */
function chunkEnd(bytes: Uint8Array, at: number): Uint8Array {
  const length = new DataView(bytes.buffer).getUint32(at - 4);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(bytes.subarray(at, at + 4 + length)));
  return sum;
}
