/** Latents become pictures: by the bundle's VAE, or as they are where the latent is the picture. */
import { aside } from '../aside/thread';
import type { OpenBundle } from '../bundle';
import type { Raster } from '../image/png';
import type { Components } from '../model/components';
import { picturesOf, type TorchScript } from '../model/torchScript';
import type { Tensor } from '../tensor';
import { decodeLatents, type Decoder, type DecodingOptions, type PictureTiled } from '../vae';

/** Values whose pixels are made sooner than they are sent to a thread. */
const smallPicture = 2 ** 14;

/** A picture, or a video, made of latents. */
export interface DecodedPicture extends Raster {
  /** 1 grey, 3 RGB. */
  channels: 1 | 3;
  /** Row-major, channels interleaved: width * height * channels bytes. Of a video the first frame. */
  pixels: Uint8Array;
  /** The pixels of every frame: one for a picture. */
  frames: readonly Uint8Array[];
}

/** Whether the pictures of a call are decoded in tiles. What did not fit once is not tried again, after a preview too. */
export interface Tiling {
  isOn: boolean;
}

interface PictureOptions extends Omit<DecodingOptions, 'tiling'> {
  tiling?: Tiling;
  onDecoded?: ((done: number) => unknown) | undefined;
}

/**
 * The pictures of latents, one image after the other.
 *
 * @param latents float32 [images, channels, height, width]; of video [images, channels, frames, height, width]
 * @param onDecoded is told how many are done
 * @throws MODEL_FAILED for values that are not numbers, OUT_OF_MEMORY, ABORT_ERR
 */
export async function decodePictures(
  latents: Tensor,
  { image, vae }: OpenBundle,
  components: Components,
  { onDecoded, onWarning, signal, tiling = { isOn: false } }: PictureOptions = {},
): Promise<DecodedPicture[]> {
  const [images, ...shape] = latents.shape as [number, ...number[]];
  const { channels, range } = image;
  const scale = vae?.scale ?? 1;
  const [height, width] = shape.slice(-2).map((cells) => cells * scale) as [number, number];
  const size = latents.data.length / images;
  const parts = Array.from({ length: images }, (_, index): Tensor => {
    const data = (latents.data as Float32Array).slice(index * size, (index + 1) * size);
    return { data, shape: [1, ...shape], dtype: 'float32' };
  });
  const pictureOf = (frames: Uint8Array[]): DecodedPicture => ({ width, height, channels, pixels: frames[0]!, frames });
  if (!vae) {
    const pictures: DecodedPicture[] = [];
    for (const { data } of parts) {
      const options = { isSmall: data.length <= smallPicture, givenAway: [data] };
      const form = { channels, height, width };
      pictures.push(pictureOf([await aside('toPixels', [data as Float32Array, form, range], options)]));
    }
    return pictures;
  }
  const decode = async (program: TorchScript): Promise<DecodedPicture[]> => {
    const decoder: Decoder = {
      run: (inputs, signal) => program.run(inputs, signal),
      pictures: (input, { range: [black, white], ...sides }, signal) =>
        picturesOf(program, [input], { ...sides, black, white }, signal),
    };
    const pictures: DecodedPicture[] = [];
    const warn = (warning: PictureTiled) => {
      tiling.isOn = true;
      return onWarning?.(warning);
    };
    for (const part of parts) {
      const options = { tiling: tiling.isOn, onWarning: warn, signal };
      pictures.push(pictureOf(await decodeLatents(part, vae, decoder, range, options)));
      await onDecoded?.(pictures.length);
    }
    return pictures;
  };
  return components.with('vae.decoder', decode, signal);
}
