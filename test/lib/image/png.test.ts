import { describe, expect, test } from '@jest/globals';
import { crc32, deflateSync, inflateSync } from 'node:zlib';

import { decodePicture } from '../../../lib/image/decode';
import { asciiJson, decodePng, encodePng, type PngPicture } from '../../../lib/image/png';

/** A second PNG reader, on Node's zlib alone, so that an encoder and a decoder with the same fault do not agree here. */
function readIndependently(bytes: Uint8Array) {
  const file = Buffer.from(bytes);
  expect(file.subarray(0, 8).toString('latin1')).toBe('\x89PNG\r\n\x1a\n');
  const text: Record<string, string> = {};
  const data: Buffer[] = [];
  let header = Buffer.alloc(0);
  const names: string[] = [];
  for (let at = 8; at < file.length;) {
    const length = file.readUInt32BE(at);
    const name = file.toString('latin1', at + 4, at + 8);
    const body = file.subarray(at + 8, at + 8 + length);
    expect(file.readUInt32BE(at + 8 + length)).toBe(crc32(file.subarray(at + 4, at + 8 + length)));
    names.push(name);
    if (name === 'IHDR') header = body;
    if (name === 'IDAT') data.push(body);
    if (name === 'tEXt') {
      const end = body.indexOf(0);
      text[body.toString('latin1', 0, end)] = body.toString('latin1', end + 1);
    }
    at += length + 12;
  }
  const channels = { 0: 1, 2: 3, 6: 4 }[header[9]!]!;
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  return {
    width,
    height,
    channels,
    text,
    names,
    pixels: unfilter(inflateSync(Buffer.concat(data)), width * channels, channels),
  };
}

function unfilter(raw: Buffer, stride: number, channels: number): Uint8Array {
  const rows = raw.length / (stride + 1);
  const out = new Uint8Array(rows * stride);
  for (let row = 0; row < rows; row++) {
    const filter = raw[row * (stride + 1)]!;
    for (let x = 0; x < stride; x++) {
      const at = row * stride + x;
      const left = x >= channels ? out[at - channels]! : 0;
      const up = row > 0 ? out[at - stride]! : 0;
      const corner = row > 0 && x >= channels ? out[at - stride - channels]! : 0;
      const near = [left, up, corner].map((value) => Math.abs(left + up - corner - value));
      const paeth = near[0]! <= near[1]! && near[0]! <= near[2]! ? left : near[1]! <= near[2]! ? up : corner;
      out[at] = raw[row * (stride + 1) + 1 + x]! + [0, left, up, (left + up) >> 1, paeth][filter]!;
    }
  }
  return out;
}

function picture(width: number, height: number, channels: 1 | 3 | 4): PngPicture {
  const pixels = Uint8Array.from(
    { length: width * height * channels },
    (_, index) => (index * 37 + (index >> 3) * 11) & 255,
  );
  return { width, height, channels, pixels };
}

describe('encodePng', () => {
  test.each([1, 3, 4] as const)('%i channels come back, also from an independent reader', (channels) => {
    const original = {
      ...picture(29, 17, channels),
      text: { 'detail-guidance': asciiJson({ prompt: 'Ärmel “weit” 👗' }) },
    };
    const bytes = encodePng(original);
    expect(decodePng(bytes)).toEqual(original);
    const found = readIndependently(bytes);
    expect(found).toMatchObject({ width: 29, height: 17, channels, text: original.text });
    expect(found.pixels).toEqual(original.pixels);
    expect(found.names.at(0)).toBe('IHDR');
    expect(found.names.at(-1)).toBe('IEND');
  });

  test('the same picture gives the same bytes', () => {
    const text = { 'detail-guidance': '{}' };
    expect(encodePng({ ...picture(28, 28, 1), text })).toEqual(encodePng({ ...picture(28, 28, 1), text }));
  });

  test('JSON survives in ASCII', () => {
    const value = { labels: ['naïve', '図', '\u2028', '🧥', 'plain'], number: 0.1 };
    const json = asciiJson(value);
    expect(json).toMatch(/^[ -~]*$/);
    expect(JSON.parse(json)).toEqual(value);
    const { text } = decodePng(encodePng({ ...picture(1, 1, 1), text: { plan: json } }));
    expect(JSON.parse(text['plan']!)).toEqual(value);
  });

  test('a plan of 200 kB fits', () => {
    const plan = asciiJson({ timesteps: Array.from({ length: 12000 }, (_, step) => Math.sin(step)) });
    expect(decodePng(encodePng({ ...picture(2, 2, 3), text: { plan } })).text['plan']).toBe(plan);
  });

  test.each([
    ['too few pixels', { pixels: new Uint8Array(3) }, /expected a Uint8Array of 4, received 3 bytes/],
    ['an ordinary array', { pixels: [1, 2, 3, 4] }, /expected a Uint8Array of 4, received object/],
    ['two channels', { channels: 2 }, /expected 1 \(grey\), 3 \(RGB\) or 4 \(RGBA\), received 2/],
    ['width 0', { width: 0 }, /width: expected a whole number from 1, received 0/],
    ['half a pixel', { height: 1.5 }, /height: expected a whole number from 1, received 1\.5/],
  ])('%s is refused', (_, wrong, message) => {
    const options = { width: 2, height: 2, channels: 1, pixels: new Uint8Array(4), ...wrong } as PngPicture;
    expect(() => encodePng(options)).toThrow(
      expect.objectContaining({ code: 'BAD_TENSOR', message: expect.stringMatching(message) }),
    );
  });

  test.each([
    ['a text outside ASCII', { plan: 'é' }],
    ['an empty keyword', { '': 'x' }],
    ['a keyword of 80 characters', { ['k'.repeat(80)]: 'x' }],
    ['a keyword with a space at its end', { 'plan ': 'x' }],
  ])('%s is refused', (_, text) => {
    expect(() => encodePng({ ...picture(1, 1, 1), text })).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }));
  });
});

describe('decodePng', () => {
  const whole = encodePng({ ...picture(16, 16, 3), text: { plan: '{}' } });

  test.each([
    ['no bytes', new Uint8Array(0)],
    ['a JPEG', Uint8Array.from([0xff, 0xd8, 0xff, 0xe0, 0, 16, 74, 70, 73, 70, 0, 1])],
    ['half of a PNG', whole.subarray(0, whole.length >> 1)],
    ['a PNG with one bit changed', whole.map((byte, index) => (index === 60 ? byte ^ 1 : byte))],
  ])('%s is refused', (_, bytes) => {
    expect(() => decodePng(bytes)).toThrow(expect.objectContaining({ code: 'BAD_TENSOR' }));
  });
});

/** By the fuzzer: each threw an error of the engine. */
test.each<[string, () => unknown, string]>([
  ['nothing to decode', () => decodePng(undefined as never), 'BAD_TENSOR'],
  ['a text to decode', () => decodePng('png' as never), 'BAD_TENSOR'],
  ['nothing to encode', () => encodePng(undefined as never), 'BAD_TENSOR'],
  ['null as the texts', () => encodePng({ ...picture(1, 1, 1), text: null as never }), 'BAD_OPTION'],
  ['a list as the texts', () => encodePng({ ...picture(1, 1, 1), text: [1] as never }), 'BAD_OPTION'],
  ['a number as a text', () => encodePng({ ...picture(1, 1, 1), text: { a: 7 as never } }), 'BAD_OPTION'],
])('%s is refused', (_, call, code) => {
  let error: unknown;
  try {
    call();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ name: 'DetailGuidanceError', code });
});

describe('a PNG that would be far larger in memory than its file', () => {
  const chunk = (name: string, content: Uint8Array) => {
    const named = Buffer.concat([Buffer.from(name, 'latin1'), content]);
    const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(content.length);
    checksum.writeUInt32BE(crc32(named));
    return Buffer.concat([length, named, checksum]);
  };
  const header = (width: number, height: number) => {
    const content = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0]);
    content.writeUInt32BE(width, 0);
    content.writeUInt32BE(height, 4);
    return chunk('IHDR', content);
  };
  const file = (...chunks: Buffer[]) =>
    Uint8Array.from(
      Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...chunks, chunk('IEND', Buffer.alloc(0))]),
    );
  const pixel = deflateSync(Buffer.from([0, 10, 20, 30]));
  const much = deflateSync(Buffer.alloc(1 << 20));

  test.each([
    ['data behind the pixels', file(header(1, 1), chunk('IDAT', much)), /its data is more than its pixels/],
    [
      'a second stream of data',
      file(header(1, 1), chunk('IDAT', Buffer.concat([pixel, much]))),
      /more than its pixels/,
    ],
    ['a size that is too large', file(header(60_000, 60_000), chunk('IDAT', pixel)), /60000 x 60000 pixels/],
    ['a second size', file(header(1, 1), header(60_000, 60_000), chunk('IDAT', pixel)), /it has no header/],
  ])('%s is refused', (_, bytes, message) => {
    expect(() => decodePng(bytes)).toThrow(
      expect.objectContaining({ code: 'BAD_TENSOR', message: expect.stringMatching(message) }),
    );
  });

  test('a colour profile is left out, whatever is in it', () => {
    const bytes = file(header(1, 1), chunk('iCCP', Buffer.from('x\0\0no profile')), chunk('IDAT', pixel));
    expect(decodePng(bytes)).toMatchObject({ width: 1, height: 1, pixels: Uint8Array.from([10, 20, 30]) });
  });

  test('a picture of any kind is refused by its size, before it is decoded', async () => {
    await expect(decodePicture(file(header(60_000, 60_000)), 'it')).rejects.toMatchObject({ code: 'BAD_TENSOR' });
  });
});
