/** The size of a picture, in pixels, latent cells and tokens. */
import type { BundleManifest } from '../bundle';
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

type Asked = Pick<GenerateRequest, 'width' | 'height' | 'numFrames' | 'latents' | 'image'>;

/**
 * The size that a call asks for: `width` and `height`, those of its image or its latents, or the bundle's.
 *
 * @throws BAD_OPTION for a size that the model cannot make, with the nearest ones that it can
 */
export function pictureSize(asked: Asked, manifest: BundleManifest): PictureSize {
  const { latent, transformer, vae } = manifest;
  const scale = vae?.scale ?? 1;
  const [rows, columns] = transformer.tokenGrid;
  // Latents of a wrong rank are refused where their shape is compared; here they ask for nothing.
  const given = asked.latents?.shape ?? [];
  const shaped = Array.isArray(given) && given.length === latentRank(manifest) ? given : [];
  const image = asked.image && pictureSides(asked.image, 'image');
  const height = side('height', asked.height ?? image?.height, shaped.at(-2), {
    standard: latent.height,
    patch: latent.height / rows,
    most: latent.maxHeight,
    scale,
    free: isFree(manifest, -2),
  });
  const width = side('width', asked.width ?? image?.width, shaped.at(-1), {
    standard: latent.width,
    patch: latent.width / columns,
    most: latent.maxWidth,
    scale,
    free: isFree(manifest, -1),
  });
  const frames = latent.frames === undefined ? null : latentFrames(asked.numFrames, shaped.at(-3), manifest);
  if (frames === null && asked.numFrames !== undefined) {
    throw invalid('options.numFrames', 'nothing', asked.numFrames, { note: 'this model makes single pictures' });
  }
  return {
    latent: [latent.channels, ...(frames === null ? [] : [frames]), height, width],
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
  const wanted = pixels ?? ((free ? cells : undefined) ?? standard) * scale;
  if (wanted === standard * scale) return standard;
  if (!free) {
    throw invalid(`options.${option}`, `${standard * scale}`, wanted, { note: 'this model makes one size' });
  }
  const step = patch * scale;
  if (most !== undefined && wanted > most * scale) {
    throw invalid(`options.${option}`, `at most ${most * scale}`, wanted, {
      note: 'this model has no positions for more',
    });
  }
  if (wanted > 0 && wanted % step === 0) return wanted / scale;
  const below = Math.floor(wanted / step) * step;
  const near = [below, below + step].filter((size) => size > 0 && size <= (most ?? Infinity) * scale);
  throw invalid(`options.${option}`, `a multiple of ${step}`, wanted, { note: `near it: ${near.join(', ')}` });
}

function latentFrames(
  frames: number | undefined,
  given: number | undefined,
  { latent, vae, ...manifest }: BundleManifest,
): number {
  const scale = vae?.frameScale ?? 1;
  const standard = latent.frames!;
  const wanted = frames ?? 1 + ((given ?? standard) - 1) * scale;
  const found = 1 + (wanted - 1) / scale;
  if (found !== standard && !isFree({ latent, ...manifest } as BundleManifest, -3)) {
    throw invalid('options.numFrames', `${1 + (standard - 1) * scale}`, wanted, {
      note: 'this model makes one length',
    });
  }
  if (Number.isInteger(found)) return found;
  const below = 1 + Math.floor((wanted - 1) / scale) * scale;
  throw invalid('options.numFrames', `one more than a multiple of ${scale}`, wanted, {
    note: `near it: ${below}, ${below + scale}`,
  });
}
