/** PNG in and out, 8 bits a sample, with text chunks (tEXt); the same picture and text always give the same bytes. */
import { isUint8Array } from 'node:util/types';

import { convertIndexedToRgb, decode, encode } from 'fast-png';

import { invalid, reasonOf } from '../validation/invalid';

import { boundPng } from './bounds';

/** A picture as pixels. */
export interface Raster {
  /** In pixels. */
  width: number;
  /** In pixels. */
  height: number;
  /** 1 grey, 3 RGB, 4 RGBA. */
  channels: 1 | 3 | 4;
  /** Row-major, channels interleaved: width * height * channels bytes. */
  pixels: Uint8Array;
}

/** A picture and the texts that its PNG carries. */
export interface PngPicture extends Raster {
  /** tEXt chunks by keyword. Keywords have 1 to 79 characters, texts are ASCII; `asciiJson` makes JSON fit. */
  text?: Record<string, string>;
}

/** Encodes a picture as PNG. @throws BAD_TENSOR for pixels that do not fit, BAD_OPTION for a text that tEXt cannot hold */
export function encodePng(picture: PngPicture): Uint8Array {
  checkRaster(picture);
  const { width, height, channels, pixels, text = {} } = picture;
  if (text === null || typeof text !== 'object') {
    throw invalid("The picture's text", 'an object of texts by keyword', text);
  }
  for (const [keyword, value] of Object.entries(text)) checkText(keyword, value);
  // Level 9: the pictures are small, and a plan in the text must not make up for what the pixels save.
  return encode({ width, height, channels, depth: 8, data: pixels, text }, { zlib: { level: 9 } });
}

/**
 * Decodes a PNG, checking every chunk's checksum but that of the colour profile, which is left out. Sixteen bits a sample become the upper eight, fewer than eight the whole
 * range; a palette becomes RGB or RGBA, grey with alpha RGBA.
 *
 * @throws BAD_TENSOR when the bytes are not a complete PNG, or of more than 178 956 970 pixels
 */
export function decodePng(bytes: Uint8Array): Required<PngPicture> {
  const { width, height, text, channels, pixels } = decodeChecked(bytes);
  if (channels === 2) return { width, height, channels: 4, pixels: greyAlphaToRgba(pixels), text };
  return { width, height, channels: channels as 1 | 3 | 4, pixels, text };
}

function inBytes(decoded: ReturnType<typeof decode>): { channels: number; pixels: Uint8Array } {
  const { channels, depth, data, palette } = decoded;
  if (palette) return { channels: palette[0]!.length, pixels: convertIndexedToRgb(decoded) };
  if (depth < 8) {
    const levels = Array.from({ length: 1 << depth }, (_, level) => [Math.round((255 * level) / ((1 << depth) - 1))]);
    return { channels, pixels: convertIndexedToRgb({ ...decoded, palette: levels }) };
  }
  if (depth === 16) return { channels, pixels: Uint8Array.from(data, (sample) => sample >> 8) };
  return { channels, pixels: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

function greyAlphaToRgba(pixels: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: pixels.length * 2 }, (_, at) => pixels[2 * (at >> 2) + (at % 4 === 3 ? 1 : 0)]!);
}

/** JSON in ASCII alone (`é` becomes `\u00e9`), which every reader of PNG text chunks gets back unchanged. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function decodeChecked(bytes: Uint8Array) {
  if (!isUint8Array(bytes)) {
    throw invalid('This picture', 'the bytes of a PNG as a Uint8Array', bytes, { code: 'BAD_TENSOR' });
  }
  try {
    const decoded = decode(boundPng(bytes), { checkCrc: true });
    const { width, height, text } = decoded;
    return { width, height, text, ...inBytes(decoded) };
  } catch (cause) {
    throw invalid('This picture', 'a whole PNG', undefined, {
      code: 'BAD_TENSOR',
      shown: `${bytes.length} bytes`,
      note: reasonOf(cause),
      cause,
    });
  }
}

function checkRaster(picture: Raster): void {
  if (picture === null || typeof picture !== 'object') {
    throw invalid('The picture', 'an object with width, height, channels and pixels', picture, { code: 'BAD_TENSOR' });
  }
  const { width, height, channels, pixels } = picture;
  for (const [name, value] of Object.entries({ width, height })) {
    if (!Number.isInteger(value) || value < 1 || value > 0x7fffffff) {
      throw invalid(`The picture's ${name}`, 'a whole number from 1', value, { code: 'BAD_TENSOR' });
    }
  }
  if (channels !== 1 && channels !== 3 && channels !== 4) {
    throw invalid("The picture's channels", '1 (grey), 3 (RGB) or 4 (RGBA)', channels, { code: 'BAD_TENSOR' });
  }
  const expected = width * height * channels;
  if (!isUint8Array(pixels) || pixels.length !== expected) {
    const received = isUint8Array(pixels) ? `${pixels.length} bytes` : typeof pixels;
    throw invalid(
      `A picture of ${width} x ${height} with ${channels} channels`,
      `a Uint8Array of ${expected}`,
      pixels,
      {
        code: 'BAD_TENSOR',
        shown: received,
      },
    );
  }
}

function checkText(keyword: string, value: string): void {
  // Keywords: Latin-1 by the PNG specification; ASCII without outer spaces is what every reader agrees on.
  if (!/^[!-~]([ -~]{0,77}[!-~])?$/.test(keyword)) {
    throw invalid('The keyword of a PNG text', '1 to 79 printable ASCII characters without space at the ends', keyword);
  }
  if (typeof value !== 'string' || !/^[\n -~]*$/.test(value)) {
    throw invalid(`The PNG text '${keyword}'`, 'printable ASCII and newlines', value, {
      note: 'asciiJson() writes JSON so',
    });
  }
}
