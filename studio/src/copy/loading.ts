/** How a program has to load the bundle to make the same bytes: as the server does, or as it was loaded for a picture. */
import type { BundleInfo, ForcedLoad } from '../api/types';
import { readMetadata, type DroppedMetadata } from '../png/metadata';

/** Options of `loadPipeline` that are not their defaults. */
export type Loading = ForcedLoad & { quantize?: unknown };

export interface Origin {
  loading: Loading;
  /** Where and in what the picture was computed, if this server is known to compute otherwise. */
  elsewhere: string | null;
}

/**
 * @param png a picture that was made by the request, or by another one of the same bundle; null: nothing was made
 * @param of null: not of this server
 * @param forced what the server was told; null: it does not say
 */
export function originOf(png: Uint8Array | null, of: BundleInfo | null, forced: ForcedLoad | null): Origin {
  const metadata = png && metadataOf(png);
  if (forced && of && (!metadata || isMadeSo(metadata, of))) {
    // 'auto' is what it came to, once that is known.
    const dtype = (of.dtype ?? forced.dtype) as ForcedLoad['dtype'];
    return { loading: { ...forced, ...(forced.dtype === undefined ? {} : { dtype }) }, elsewhere: null };
  }
  if (!metadata) return { loading: {}, elsewhere: null };
  const { device, dtype, quantize } = metadata;
  // Without a word a program takes the device that this server has taken by itself.
  const isTaken = device === of?.device && forced?.device === undefined;
  return {
    loading: {
      ...(isTaken ? {} : { device }),
      ...(dtype === 'float32' ? {} : { dtype }),
      ...(quantize === undefined ? {} : { quantize }),
    },
    elsewhere: forced && of && of.device !== null ? inWords(metadata) : null,
  };
}

function metadataOf(png: Uint8Array): DroppedMetadata | null {
  try {
    return readMetadata(png, 'The picture');
  } catch {
    return null;
  }
}

const isMadeSo = ({ device, dtype, quantize }: DroppedMetadata, of: BundleInfo) =>
  device === of.device && dtype === of.dtype && quantize === undefined;

const inWords = ({ device, dtype, quantize }: DroppedMetadata): string =>
  `on ${device}, in ${dtype}${quantize === undefined ? '' : ' with 8 bit weights'}`;

/** Options that the command line has no flag for. */
export const withoutFlag = ({ devices, fuse, quantize }: Loading): string[] =>
  Object.entries({ devices, fuse, quantize }).flatMap(([name, value]) => (value === undefined ? [] : [name]));
