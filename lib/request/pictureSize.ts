/** The size of a picture, in pixels, latent cells and tokens. */
import { isBounded, mostNumbers, type BundleManifest } from '../bundle';
import { invalid } from '../validation/invalid';
import type { GenerateRequest } from './generateOptions';
import { pictureSides } from '../vae';

/** The size of a picture, in pixels, latent cells and tokens. */
export interface PictureSize {
  /** Of one image's latent: [channels, height, width], or [channels, frames, height, width] for video. */
  latent: number[];
  /** Image tokens of one frame: [rows, columns]. */
  tokenGrid: [number, number];
  /** In pixels. */
  width: number;
  /** In pixels. */
  height: number;
  /** Frames of a video; 1 for a picture. */
  frames: number;
}

/** What of a call says how large its pictures are. */
export interface AskedSize extends Pick<GenerateRequest, 'width' | 'height' | 'numFrames' | 'image'> {
  /** Only their shape is looked at. */
  latents?: { shape: number[] } | undefined;
}

/**
 * The size that a call asks for: `width` and `height`, those of its image or its latents, or the bundle's.
 *
 * @throws BAD_OPTION for a size that the model cannot make, with the nearest ones that it can
 */
export function pictureSize(request: AskedSize, manifest: BundleManifest): PictureSize {
  const { latent, transformer, vae } = manifest;
  const scale = vae?.scale ?? 1;
  const [rows, columns] = transformer.tokenGrid;
  // Latents of a wrong rank are refused where their shape is compared; here they ask for nothing.
  const latentShape = request.latents?.shape ?? [];
  const shaped = Array.isArray(latentShape) && latentShape.length === latentRank(manifest) ? latentShape : [];
  const image = request.image && pictureSides(request.image, 'image');
  const height = side('height', request.height ?? image?.height, shaped.at(-2), {
    standard: latent.height,
    patch: latent.height / rows,
    most: latent.maxHeight,
    scale,
    free: isFree(manifest, -2),
  });
  const width = side('width', request.width ?? image?.width, shaped.at(-1), {
    standard: latent.width,
    patch: latent.width / columns,
    most: latent.maxWidth,
    scale,
    free: isFree(manifest, -1),
  });
  const frames = latent.frames === undefined ? null : latentFrames(request.numFrames, shaped.at(-3), manifest);
  if (frames === null && request.numFrames !== undefined) {
    throw invalid('options.numFrames', 'nothing', request.numFrames, { note: 'this model makes single pictures' });
  }
  const shape = [latent.channels, ...(frames === null ? [] : [frames]), height, width];
  if (!isBounded(shape) || !isBounded([height * scale, width * scale])) {
    throw invalid('options.width and height', `latents and pictures of at most ${mostNumbers} numbers`, shape, {
      shown: `${width * scale} x ${height * scale} pixels`,
    });
  }
  return {
    latent: shape,
    tokenGrid: [height / (latent.height / rows), width / (latent.width / columns)],
    width: width * scale,
    height: height * scale,
    frames: frames === null ? 1 : 1 + (frames - 1) * (vae?.frameScale ?? 1),
  };
}

function latentRank({ latent }: BundleManifest): number {
  return latent.frames === undefined ? 4 : 5;
}

/** Whether the transformer takes other sizes along an axis of its latent than the one it was traced with. */
function isFree({ transformer }: BundleManifest, axis: number): boolean {
  return typeof transformer.inputs.find(({ role }) => role === 'latent')!.shape.at(axis) === 'string';
}

interface Side {
  /** Latent cells by default. */
  standard: number;
  /** Cells of one token. */
  patch: number;
  /** Cells at most. */
  most: number | undefined;
  /** Pixels of one cell. */
  scale: number;
  free: boolean;
}

/** Latent cells along one side. */
function side(
  option: 'width' | 'height',
  pixels: number | undefined,
  cells: number | undefined,
  { standard, patch, most, scale, free }: Side,
): number {
  // Latents of another size than the only one are refused where their shape is compared.
  const size = pixels ?? ((free ? cells : undefined) ?? standard) * scale;
  if (size === standard * scale) return standard;
  if (!free) {
    throw invalid(`options.${option}`, `${standard * scale}`, size, { note: 'this model makes one size' });
  }
  const step = patch * scale;
  if (most !== undefined && size > most * scale) {
    throw invalid(`options.${option}`, `at most ${most * scale}`, size, {
      note: 'this model has no positions for more',
    });
  }
  if (size > 0 && size % step === 0) return size / scale;
  const below = Math.floor(size / step) * step;
  const near = [below, below + step].filter((size) => size > 0 && size <= (most ?? Infinity) * scale);
  throw invalid(`options.${option}`, `a multiple of ${step}`, size, { note: `near it: ${near.join(', ')}` });
}

function latentFrames(
  frames: number | undefined,
  latentFrames: number | undefined,
  { latent, vae, ...manifest }: BundleManifest,
): number {
  const scale = vae?.frameScale ?? 1;
  const standard = latent.frames!;
  const length = frames ?? 1 + ((latentFrames ?? standard) - 1) * scale;
  const latentLength = 1 + (length - 1) / scale;
  if (latentLength !== standard && !isFree({ latent, ...manifest } as BundleManifest, -3)) {
    throw invalid('options.numFrames', `${1 + (standard - 1) * scale}`, length, {
      note: 'this model makes one length',
    });
  }
  if (Number.isInteger(latentLength)) return latentLength;
  const below = 1 + Math.floor((length - 1) / scale) * scale;
  throw invalid('options.numFrames', `one more than a multiple of ${scale}`, length, {
    note: `near it: ${below}, ${below + scale}`,
  });
}
