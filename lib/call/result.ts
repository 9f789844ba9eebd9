/** What `generate` gives back. */
import { join } from 'node:path';

import { checkObject, invalid } from '../validation/invalid';
import { pathOf, writeFileAtomic } from '../files/atomic';
import { encodeApng, type Animation } from '../image/apng';
import { usualFrameRate } from '../image/frameRate';
import { metadataKeyword } from '../image/pngText';
import { encodeApngAside } from './png';
import { encodeMetadata, type PictureMetadata } from './metadata';
import type { DecodedPicture } from './decoding';
import type { Execution } from '../native';
import type { Seed } from '../request/seeds';
import type { Plan } from '../plan';
import type { Tensor } from '../tensor';

/** How a picture becomes a PNG. */
export interface PngOptions {
  /** Of a video the one frame to give, from 0. Default: all of them, as an animated PNG. */
  frame?: number;
  /** Frames a second of an animated PNG, 0.1 to 240; browsers play more than 90 as 10. Default: the video's `frameRate`. */
  frameRate?: number;
  /** Put in what the picture was made by, with which `readOptions` makes it again. Default true. */
  metadata?: boolean;
}

let animationOf: (image: GeneratedImage) => Animation;

/** The PNG of a picture, or a video, of which nothing else is used any more: its pixels are moved to the thread, not copied. */
export function lastPng(image: GeneratedImage): Promise<Uint8Array> {
  return encodeApngAside(animationOf(image), true);
}

/** One picture, as tensor, as pixels, as PNG, as file. */
export class GeneratedImage {
  static {
    animationOf = (image) => image.#animation({});
  }

  /** Makes this picture again, alone, with the other options the same. */
  readonly seed: Seed;
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
  /** 1 grey, 3 RGB. */
  readonly channels: 1 | 3;
  /** Row-major, channels interleaved: width * height * channels bytes. Of a video the first frame. */
  readonly pixels: Uint8Array;
  /** The pixels of every frame: one for a picture. */
  readonly frames: readonly Uint8Array[];
  /** Frames a second of a video: `defaults.frameRate` of its bundle, or 24. Null for a picture. */
  readonly frameRate: number | null;
  /** The sampler's final state, float32 [1, channels, height, width]; of video [1, channels, frames, height, width]. */
  readonly latents: Tensor;
  /** How it was made; what the PNG carries. */
  readonly metadata: PictureMetadata;

  constructor(
    picture: Omit<DecodedPicture, 'pixels'>,
    latents: Tensor,
    metadata: PictureMetadata,
    frameRate: number | null,
  ) {
    this.seed = metadata.seed;
    this.width = picture.width;
    this.height = picture.height;
    this.channels = picture.channels;
    this.frames = picture.frames;
    this.pixels = picture.frames[0]!;
    this.frameRate = frameRate;
    this.latents = latents;
    this.metadata = metadata;
  }

  /**
   * The picture as PNG, its metadata in the text chunk `detail-guidance`. Of a video an animated PNG of all frames, which
   * plays for ever; programs that do not know these show the first.
   *
   * @throws BAD_OPTION for a frame or a frame rate that there is not
   */
  toPng(options: PngOptions = {}): Uint8Array {
    return encodeApng(this.#animation(options));
  }

  /** The same bytes, made on other threads: a large picture, or frame, takes the best part of a second to compress. */
  async toPngAside(options: PngOptions = {}): Promise<Uint8Array> {
    return encodeApngAside(this.#animation(options));
  }

  /**
   * Writes the PNG, of a video the animated one, atomically: the file is whole or not there.
   *
   * @param path usually ends in .png, or for a video in .apng; or a file: URL
   * @throws BAD_OPTION for another kind of path; OUTPUT_UNWRITABLE, and what `toPng` throws
   */
  async save(path: string | URL, options: PngOptions = {}): Promise<void> {
    const file = pathOf(path, 'path', 'the path of a file');
    await writeFileAtomic(file, await this.toPngAside(options));
  }

  /**
   * Writes a video's frames, `0000.png` and so on, into a folder that is there; gives the files.
   *
   * @throws BAD_OPTION for what is no path; OUTPUT_UNWRITABLE
   */
  async saveFrames(folder: string | URL): Promise<string[]> {
    const place = pathOf(folder, 'folder', 'the path of a folder');
    const files = this.frames.map((_, frame) => join(place, `${String(frame).padStart(4, '0')}.png`));
    for (const [frame, file] of files.entries()) await writeFileAtomic(file, await this.toPngAside({ frame }));
    return files;
  }

  #animation(options: PngOptions): Animation {
    checkObject(options, 'options', 'an object with any of frame, frameRate, metadata');
    const { frame, frameRate, metadata: withMetadata = true } = options;
    const { width, height, channels, metadata } = this;
    const text: Record<string, string> = withMetadata ? { [metadataKeyword]: encodeMetadata(metadata) } : {};
    const form = { width, height, channels, text, frameRate: frameRate ?? this.frameRate ?? usualFrameRate };
    if (frame === undefined) return { ...form, frames: this.frames };
    const pixels = this.frames[frame];
    if (!pixels) throw invalid('frame', `a whole number from 0 to ${this.frames.length - 1}`, frame);
    return { ...form, frames: [pixels] };
  }
}

/** What `generate` gives. */
export interface GenerateResult {
  /** In the order of their seeds. */
  images: GeneratedImage[];
  /** The sampler's final state of all images, float32 [images, channels, height, width]. */
  latents: Tensor;
  /** Seed of each image. */
  seeds: Seed[];
  /** What was done, as plain data. */
  plan: Plan;
  /** How it was computed: what branches shared, what was replayed from device graphs, which chains ran as one. */
  execution: Execution;
  /** Branch evaluations of the model, summed over steps and images. */
  evaluations: number;
}
