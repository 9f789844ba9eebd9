/** A picture as PNG of another size. */
import { encodePng, type PngPicture, type Raster } from './png';
import { resizeRaster } from './resize';

export type Size = Pick<Raster, 'width' | 'height'>;

/** @throws what `encodePng` throws */
export function encodeSized(picture: PngPicture, size: Size): Uint8Array {
  const fits = picture.width === size.width && picture.height === size.height;
  return encodePng(
    fits ? picture : { ...resizeRaster(picture, size), ...(picture.text ? { text: picture.text } : {}) },
  );
}
