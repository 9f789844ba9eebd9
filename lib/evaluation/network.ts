/** A feature network or a classifier: a TorchScript file that takes pictures. */
import { basename, extname } from 'node:path';

import { z } from 'zod';

import { fingerprintFile, type Bundle } from '../bundle';
import { loadSealedTorchScript, type TorchScript } from '../model/torchScript';
import { DetailGuidanceError } from '../validation/errors';
import { invalid, reasonOf, type Mismatch } from '../validation/invalid';
import { resize } from '../image/resize';
import { describedBy } from '../validation/describedBy';
import { choice, either, finite, flag, list, strictObject, text, whole } from '../validation/vocabulary';
import { elementCount, toFloat32, type Tensor } from '../tensor';

import type { Features } from './features';
import type { PictureSet } from './pictureSet';

const perChannel = either([list(finite(), 'a list of numbers')], 'a list with one number for each channel');

/** A feature network or a classifier, and how pictures are put into it. */
export interface NetworkOptions {
  /**
   * TorchScript file: pictures [N, C, H, W] in the dtype it is loaded in → [N, width] (or [N, width, 1, 1]), or several
   * tensors of which the first is that. MODEL_UNREADABLE; OPERATOR_REFUSED.
   */
  file: string;
  /** What the figures are named after. Default: the file's name without its ending. */
  name?: string;
  /** Values of black and white that the network was trained with. Default [-1, 1]; for the bundle's own, what it says. */
  range?: [black: number, white: number];
  /** Pictures are resized to this (bilinear, antialiased), in pixels. Default: left as they are. */
  size?: [height: number, width: number];
  /** Grey pictures are repeated, coloured ones become their luma. Default: as the pictures have. */
  channels?: 1 | 3 | '1' | '3';
  /** Subtracted after the range, a number for each channel. Default 0. */
  mean?: number[];
  /** Divided by after that, a number for each channel. Default 1. */
  std?: number[];
  /** Load a program that uses operators outside the allow list, which else is OPERATOR_REFUSED. Default false. */
  allowAllOperators?: boolean;
}

export const networkSchema = describedBy<NetworkOptions>()(
  strictObject({
    file: text('the path of a TorchScript file'),
    name: text().optional(),
    range: z.tuple([finite(), finite()], { error: 'two numbers: the values of black and white' }).optional(),
    size: z.tuple([whole(1, 16384), whole(1, 16384)], { error: 'height and width' }).optional(),
    channels: choice(['1', '3'])
      .transform(Number)
      .or(z.union([z.literal(1), z.literal(3)]))
      .optional(),
    mean: perChannel.optional(),
    std: perChannel.optional(),
    allowAllOperators: flag().optional(),
  }),
);

export type NetworkRequest = z.output<typeof networkSchema>;

/** What is recorded of a network: enough to tell whether figures come from the same one. */
export interface NetworkRecord {
  /** What the figures are named after. */
  name: string;
  /** Of the file. */
  sha256: string;
  /** Values of black and white. */
  range: readonly [black: number, white: number];
  /** Height and width that pictures are resized to; null: as they are. */
  size: readonly [height: number, width: number] | null;
  /** 1 or 3; null: as the pictures have. */
  channels: number | null;
  /** Subtracted, for each channel; null: 0. */
  mean: readonly number[] | null;
  /** Divided by, for each channel; null: 1. */
  std: readonly number[] | null;
}

/** The network that a bundle brings as its classifier, or as the features of that. */
export function bundleNetwork(which: 'file' | 'features', bundle: Bundle): NetworkRequest | null {
  const { classifier } = bundle;
  const file = classifier?.[which];
  if (!classifier || file === undefined) return null;
  return {
    file: bundle.path(file),
    range: classifier.range ?? bundle.image.range,
    channels: bundle.image.channels,
    ...(classifier.size ? { size: classifier.size } : {}),
  };
}

/** Pictures in, numbers out. */
export class PictureNetwork {
  readonly record: NetworkRecord;
  readonly #component: Pick<TorchScript, 'run' | 'dispose'>;

  constructor(component: Pick<TorchScript, 'run' | 'dispose'>, record: NetworkRecord) {
    this.#component = component;
    this.record = record;
  }

  /**
   * Loads the file, audited as every TorchScript file is. What is loaded is what `record.sha256` was taken of.
   *
   * @throws BAD_OPTION, MODEL_UNREADABLE, OPERATOR_REFUSED, DEVICE_UNAVAILABLE, OUT_OF_MEMORY, ABORT_ERR
   */
  static async load(request: NetworkRequest, device: string, signal?: AbortSignal): Promise<PictureNetwork> {
    const { file, name, range = [-1, 1], size, channels, mean, std, allowAllOperators = false } = request;
    const { sha256, ...sealed } = await fingerprint(file, signal);
    const record: NetworkRecord = {
      name: name ?? basename(file, extname(file)),
      sha256,
      range,
      size: size ?? null,
      channels: channels ?? null,
      mean: mean ?? null,
      std: std ?? null,
    };
    const component = await loadSealedTorchScript(sealed, { device, allowAllOperators, signal });
    return new PictureNetwork(component, record);
  }

  /**
   * The network's first output for some pictures.
   *
   * @param pixels bytes [count, height, width, channels]
   * @throws BAD_TENSOR when it is not [count, width] or not finite; MODEL_FAILED when the network cannot take the pictures
   */
  async run(pixels: Uint8Array, pictures: Pick<PictureSet, 'height' | 'width' | 'channels'>, signal?: AbortSignal) {
    const input = prepare(pixels, pictures, this.record);
    const [output] = await this.#component.run([input], signal).catch((error: unknown) => {
      throw this.#explained(error, input.shape);
    });
    return this.#features(output, input.shape);
  }

  dispose(): Promise<void> {
    return this.#component.dispose();
  }

  #features(output: Tensor | undefined, [count = 0, ...picture]: number[]): Features {
    const call = `The network '${this.record.name}', given pictures [${[count, ...picture].join(', ')}]`;
    // Networks that end in a pooling leave [N, width, 1, 1].
    const sizes = output?.shape.filter((size, axis) => axis < 2 || size !== 1);
    if (!output || !sizes || sizes.length !== 2 || sizes[0] !== count || !/float/.test(output.dtype)) {
      const received = output ? `${output.dtype} [${output.shape.join(', ')}]` : 'nothing';
      const expected = `floating-point [${count}, features]`;
      throw invalid(`The output of ${call}`, expected, received, { code: 'BAD_TENSOR', shown: received });
    }
    const values = toFloat32(output);
    const wrong = values.findIndex((value) => !Number.isFinite(value));
    if (wrong >= 0) {
      throw invalid(`The output of ${call}`, 'finite numbers', values[wrong], {
        code: 'BAD_TENSOR',
        note: 'its range of input values may be another',
      });
    }
    return { values, count, width: elementCount(sizes.slice(1)) };
  }

  /** libtorch's own message speaks of matrices; what was put in says more. */
  #explained(error: unknown, shape: number[]): unknown {
    if (!(error instanceof DetailGuidanceError) || error.code !== 'MODEL_FAILED') return error;
    return invalid(
      `The network '${this.record.name}'`,
      'pictures of the size and channels that it was made for',
      shape,
      {
        code: 'MODEL_FAILED',
        note: error.message,
        cause: error,
      },
    );
  }
}

function fingerprint(file: string, signal?: AbortSignal) {
  const refused = (shown: string, mismatch: Mismatch) =>
    invalid(file, 'a TorchScript file', file, { shown, ...mismatch });
  const irregular = () => refused('no regular file', { code: 'MODEL_UNREADABLE' });
  return fingerprintFile(file, irregular, signal).catch((cause: unknown) => {
    if (cause instanceof DetailGuidanceError) throw cause;
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw refused(isMissing ? 'nothing' : `one that can not be read: ${reasonOf(cause)}`, { cause });
  });
}

/** Bytes [N, H, W, C] as the network takes them: float32 [N, C', H', W'] in its range. */
export function prepare(
  pixels: Uint8Array,
  { height, width, channels }: Pick<PictureSet, 'height' | 'width' | 'channels'>,
  { range: [black, white], size, channels: targetChannels, mean, std }: NetworkRecord,
): Tensor {
  const count = pixels.length / (height * width * channels);
  const planes = toPlanes(pixels, count, height * width, channels, targetChannels ?? channels);
  const target = size ?? ([height, width] as const);
  const depth = targetChannels ?? channels;
  const values = resize(planes, count * depth, [height, width], target);
  const plane = target[0] * target[1];
  const data = new Float32Array(values.length);
  for (let index = 0; index < values.length; index++) {
    const channel = Math.floor(index / plane) % depth;
    const value = black + (values[index]! / 255) * (white - black);
    data[index] = (value - (mean?.[channel] ?? 0)) / (std?.[channel] ?? 1);
  }
  return { data, shape: [count, depth, ...target], dtype: 'float32' };
}

/** Interleaved bytes to planes of 0 to 255, in as many channels as wanted. */
function toPlanes(
  pixels: Uint8Array,
  count: number,
  plane: number,
  channels: number,
  targetChannels: number,
): Float32Array {
  const planes = new Float32Array(count * targetChannels * plane);
  for (let picture = 0; picture < count; picture++) {
    for (let place = 0; place < plane; place++) {
      const at = (picture * plane + place) * channels;
      for (let channel = 0; channel < targetChannels; channel++) {
        const luma = 0.299 * pixels[at]! + 0.587 * pixels[at + 1]! + 0.114 * pixels[at + 2]!;
        const value = channels === targetChannels ? pixels[at + channel]! : channels === 1 ? pixels[at]! : luma;
        planes[(picture * targetChannels + channel) * plane + place] = value;
      }
    }
  }
  return planes;
}
