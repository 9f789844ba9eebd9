/** Pictures in: the bytes of a file as upright pixels. */
import { decodeBy } from './codec';
import { decodeJpeg } from './jpeg';
import { identify, type PictureKind } from './kind';
import { orientationOf, turns, upright } from './orientation';
import { decodePng, type Raster } from './png';

/**
 * Decodes a PNG, a JPEG or a WebP and stands it upright as its EXIF orientation says. Sixteen bits become eight; a
 * palette becomes its colours, grey with alpha RGBA.
 *
 * @param name what the picture is called in messages
 * @throws BAD_TENSOR for what is damaged, or of another kind
 */
export async function decodePicture(bytes: Uint8Array, name: string): Promise<Raster> {
  const { kind } = identify(bytes, name);
  return upright(await decoders[kind](bytes), orientationOf(bytes, kind));
}

/**
 * Width and height of the upright picture, without decoding it.
 *
 * @throws BAD_TENSOR
 */
export function pictureDimensions(bytes: Uint8Array, name: string): { width: number; height: number } {
  const { kind, width, height } = identify(bytes, name);
  return turns(orientationOf(bytes, kind)) ? { width: height, height: width } : { width, height };
}

const decoders: Record<PictureKind, (bytes: Uint8Array) => Raster | Promise<Raster>> = {
  png: (bytes) => {
    const { width, height, channels, pixels } = decodePng(bytes);
    return { width, height, channels, pixels };
  },
  jpg: decodeJpeg,
  webp: async (bytes) => {
    const { width, height, data } = await decodeBy('webp', bytes, 'a whole WebP with one picture');
    return { width, height, channels: 4, pixels: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
  },
};
