/** What kind of picture some bytes are, by how they begin. */
import { imageSize } from 'image-size';

import { invalid, reasonOf } from '../validation/invalid';

import { mostPixels } from './bounds';

export const pictureKinds = ['png', 'jpg', 'webp'] as const;
export type PictureKind = (typeof pictureKinds)[number];

const expected = 'a PNG, a JPEG or a WebP';

/**
 * The kind of a picture, and its size as it lies in the file, without decoding it.
 *
 * @param name what the picture is called in messages
 * @throws BAD_TENSOR for bytes that are no PNG, JPEG or WebP, where other kinds are named, and for more pixels than 178 956 970
 */
export function identify(bytes: Uint8Array, name: string): { kind: PictureKind; width: number; height: number } {
  const { type, width, height } = readHead(bytes, name);
  const kind = pictureKinds.find((known) => known === type);
  if (kind && width * height > mostPixels) {
    const shown = `one of ${width} x ${height}`;
    throw invalid(name, `a picture of at most ${mostPixels} pixels`, bytes, { code: 'BAD_TENSOR', shown });
  }
  if (kind) return { kind, width, height };
  throw invalid(name, expected, bytes, { code: 'BAD_TENSOR', shown: `a picture of the kind ${type}` });
}

function readHead(bytes: Uint8Array, name: string) {
  try {
    return imageSize(bytes);
  } catch (cause) {
    throw invalid(name, expected, bytes, {
      code: 'BAD_TENSOR',
      shown: `${bytes.length} bytes`,
      note: reasonOf(cause),
      cause,
    });
  }
}
