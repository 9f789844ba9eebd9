/** Pictures in one file: NumPy's `.npy`, or safetensors. */
import { extname } from 'node:path';

import { withRegularFile } from '../bundle';
import { DetailGuidanceError } from '../validation/errors';
import { invalid, reasonOf } from '../validation/invalid';
import { decodeSafetensors, type Tensor } from '../tensor';

import { readNpyHeader } from './npy';
import type { PictureSet } from './pictureSet';

/** @throws BAD_TENSOR for anything but uint8 [N, H, W] or [N, H, W, 1 or 3] */
export async function openPictureArray(file: string): Promise<PictureSet> {
  return extname(file).toLowerCase() === '.npy' ? openNpy(file) : openSafetensors(file);
}

/** A NumPy file stays on the disk and is read in parts. */
function openNpy(file: string): Promise<PictureSet> {
  return withRegularFile(file, noFile(file), async (handle) => {
    const { dtype, fortranOrder, shape, offset } = await readNpyHeader(handle, file);
    if (dtype !== '|u1' || fortranOrder) {
      throw unfit(file, 'uint8 in C order (dtype |u1)', fortranOrder ? 'Fortran order' : `the dtype ${dtype}`);
    }
    const sizes = pictureSizes(file, shape);
    const bytesOfPicture = sizes.height * sizes.width * sizes.channels;
    const { size } = await handle.stat();
    if (size !== offset + sizes.count * bytesOfPicture) {
      throw unfit(
        file,
        `${offset + sizes.count * bytesOfPicture} bytes for the shape [${shape.join(', ')}]`,
        `${size}`,
      );
    }
    return {
      ...sizes,
      labels: null,
      read: (from, to) =>
        withRegularFile(file, noFile(file), async (part) => {
          const pixels = new Uint8Array((to - from) * bytesOfPicture);
          await part.read(pixels, 0, pixels.length, offset + from * bytesOfPicture);
          return pixels;
        }),
    };
  });
}

/** For a pipe or a device, which could keep the process waiting for ever. */
const noFile = (file: string) => () => invalid(file, 'a regular file', file, { shown: 'a pipe or a device' });

async function openSafetensors(file: string): Promise<PictureSet> {
  const { images, labels } = await readPictureTensors(file);
  const sizes = pictureSizes(file, images.shape);
  const bytesOfPicture = sizes.height * sizes.width * sizes.channels;
  const pixels = images.data as Uint8Array;
  return {
    ...sizes,
    labels,
    read: (from, to) => Promise.resolve(pixels.subarray(from * bytesOfPicture, to * bytesOfPicture)),
  };
}

/** The tensors `images` (uint8) and `labels` of a safetensors file. @throws BAD_TENSOR */
export async function readPictureTensors(file: string): Promise<{ images: Tensor; labels: Int32Array | null }> {
  const bytes = await withRegularFile(file, noFile(file), (handle) => handle.readFile()).catch((cause: unknown) => {
    if (cause instanceof DetailGuidanceError) throw cause;
    throw invalid(file, 'a file that can be read', file, { shown: 'another', note: reasonOf(cause), cause });
  });
  const { tensors } = decodeSafetensors(bytes);
  const { images, labels } = tensors;
  if (images?.dtype !== 'uint8') {
    throw unfit(file, "a tensor 'images' of uint8 [N, H, W, 1 or 3]", images?.dtype ?? 'no tensor of that name');
  }
  if (labels === undefined) return { images, labels: null };
  if ((labels.dtype !== 'int64' && labels.dtype !== 'int32') || labels.data.length !== images.shape[0]) {
    throw unfit(file, `'labels' as int64 [${images.shape[0]}]`, `${labels.dtype} [${labels.shape.join(', ')}]`);
  }
  return { images, labels: Int32Array.from(labels.data as BigInt64Array | Int32Array, Number) };
}

/** Sizes of [N, H, W] or [N, H, W, C]. @throws BAD_TENSOR */
export function pictureSizes(
  file: string,
  shape: number[],
): Pick<PictureSet, 'count' | 'height' | 'width' | 'channels'> {
  const [count = 0, height = 0, width = 0, channels = 1] = shape;
  const known = (shape.length === 3 || shape.length === 4) && (channels === 1 || channels === 3);
  if (known && count > 0 && height > 0 && width > 0) return { count, height, width, channels };
  throw unfit(file, 'pictures [N, H, W] or [N, H, W, 1 or 3]', `[${shape.join(', ')}]`);
}

function unfit(file: string, expected: string, received: string): DetailGuidanceError {
  return invalid(file, expected, received, { code: 'BAD_TENSOR', shown: received });
}
