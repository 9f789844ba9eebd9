/** Videos as animated PNG: every frame whole, the first one what a reader of plain PNG shows. */
import { crc32 } from 'node:zlib';

import { chunks } from './chunks';
import { checkFrameRate } from './frameRate';
import { encodePng, type PngPicture } from './png';

/** A video, or with one frame a picture, and the texts that its PNG carries. */
export interface Animation extends Omit<PngPicture, 'pixels'> {
  /** The pixels of every frame, all of one size. */
  frames: readonly Uint8Array[];
  /** Frames a second. */
  frameRate: number;
}

/** Encodes a video that plays for ever, or one frame as a plain PNG. @throws what `encodePng` throws, BAD_OPTION */
export function encodeApng({ frames, frameRate, ...form }: Animation): Uint8Array {
  checkFrameRate(frameRate);
  if (frames.length === 1) return encodePng({ ...form, pixels: frames[0]! });
  const count = frames.length;
  return joined(frames.map((pixels, index) => encodeApngFrame({ ...form, pixels }, { index, count, frameRate })));
}

/** Where a frame stands in its video. */
export interface FramePlace {
  /** From 0. */
  index: number;
  /** Frames of the video. */
  count: number;
  /** Frames a second. */
  frameRate: number;
}

/** The part of the file that a frame is: one after the other, they are all of it. The texts are those of the first. */
export function encodeApngFrame(frame: PngPicture, { index, count, frameRate }: FramePlace): Uint8Array {
  const png = encodePng(frame);
  const parts = chunks(png, 'png');
  const named = (name: string) => parts.filter((part) => part.name === name);
  const whole = (name: string) => named(name).map((part) => part.whole);
  // Every frame behind the first has two numbers, of its control and of its one chunk of data.
  const control = chunk('fcTL', [
    ...uint32(index === 0 ? 0 : 2 * index - 1, frame.width, frame.height, 0, 0),
    ...delay(frameRate),
    // It stays until the next one takes its place, whole.
    ...[0, 0],
  ]);
  const end = index === count - 1 ? whole('IEND') : [];
  if (index > 0) {
    const data = named('IDAT').map(({ content }) => content);
    return joined([control, chunk('fdAT', joined([Uint8Array.from(uint32(2 * index)), ...data])), ...end]);
  }
  // 0: for ever.
  const animation = chunk('acTL', uint32(count, 0));
  return joined([png.subarray(0, 8), ...whole('IHDR'), animation, ...whole('tEXt'), control, ...whole('IDAT'), ...end]);
}

/** Seconds of a frame as a fraction of two 16-bit numbers. */
function delay(frameRate: number): number[] {
  const seconds = Number.isInteger(frameRate) ? 1 : frameRate < 60 ? 1000 : 100;
  return [seconds, Math.round(frameRate * seconds)].flatMap((value) => [value >> 8, value & 255]);
}

const uint32 = (...values: number[]): number[] =>
  values.flatMap((value) => [value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255]);

function chunk(name: string, content: Uint8Array | number[]): Uint8Array {
  const named = joined([Buffer.from(name, 'latin1'), Uint8Array.from(content)]);
  return joined([Uint8Array.from(uint32(content.length)), named, Uint8Array.from(uint32(crc32(named)))]);
}

const joined = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
