/** Which features are worth more: classes and moved parts of pictures that the model itself has made. */
import { AbortError } from '../validation/errors';
import { waitFor } from '../model/abort';
import { invalid } from '../validation/invalid';
import { mostImages } from '../request/generateOptions';
import type { Pipeline } from '../pipeline';
import type { Tensor } from '../tensor';

import { classCorrespondence, partCorrespondence } from './correspondence';
import { extractFeatures, type FeatureOptions } from './features';

export interface ComparisonRequest {
  layer: number;
  time: number;
  /** Pictures of each class. */
  perClass: number;
  ensemble: number;
  seed: number;
  onProgress?: ((done: number, total: number, doing: string) => unknown) | undefined;
  signal?: AbortSignal | undefined;
}

export interface FeatureWorth {
  features: string;
  /** Share of pictures whose nearest other picture has their class. */
  classes: number;
  /** Share of tokens found again where they went when the picture was moved by one token. */
  parts: number;
  /** Share of them that were looked for where they had been. */
  stayed: number;
}

const kinds: { features: string; options: Pick<FeatureOptions, 'kind' | 'channels'> }[] = [
  { features: 'raw', options: { kind: 'raw' } },
  { features: 'modulated, nothing discarded', options: { kind: 'modulated', channels: [] } },
  { features: 'modulated (DiTF)', options: { kind: 'modulated' } },
  { features: 'modulated and maps (MREP)', options: { kind: 'mrep' } },
];

/**
 * Compares the kinds of features on pictures sampled with classifier-free guidance, whose classes are known.
 *
 * @throws BAD_OPTION for a model without classes or an unconditional one, and for more pictures than a call makes; what `extractFeatures` and `generate` throw
 */
export async function compareFeatures(
  pipeline: Pipeline,
  { layer, time, perClass, ensemble, seed, onProgress, signal }: ComparisonRequest,
): Promise<{ rows: FeatureWorth[]; chance: number; images: number; tokens: number }> {
  const { conditioning, latent, transformer } = pipeline.bundle;
  if (conditioning.kind !== 'class' || conditioning.nullClass === undefined) {
    throw invalid(`The bundle ${pipeline.bundle.name}`, 'conditioning by class, with nullClass', conditioning.kind);
  }
  const most = Math.floor(mostImages / conditioning.numClasses);
  if (!Number.isInteger(perClass) || perClass < 1 || perClass > most) {
    throw invalid('The pictures of each class', `a whole number from 1 to ${most}`, perClass);
  }
  const classes = Array.from({ length: conditioning.numClasses * perClass }, (_, image) =>
    Math.floor(image / perClass),
  );
  const blank = {
    data: new Float32Array(latent.channels * latent.height * latent.width),
    shape: [1, latent.channels, latent.height, latent.width],
    dtype: 'float32' as const,
  };
  // What does not fit is met before the pictures are made.
  await extractFeatures(pipeline, { ...kinds.at(-1)!.options, latents: blank, layer, time, ensemble, signal });
  const total = kinds.length + 1;
  const { latents } = await pipeline.generate({
    classLabel: classes,
    seed,
    guidance: { classifierFree: {} },
    batchSize: Math.min(perClass, 16),
    signal,
    onStep: ({ fraction }) => onProgress?.(fraction, total, 'making pictures'),
  });
  const columns = latent.width / transformer.tokenGrid[1];
  const moved = moveRight(latents, columns);
  const followed = interesting(latents, transformer.tokenGrid);
  const rows: FeatureWorth[] = [];
  let [chance, tokens] = [0, 0];
  for (const [index, { features, options }] of kinds.entries()) {
    if (signal?.aborted) throw new AbortError(signal.reason);
    const common = { ...options, layer, time, ensemble, signal };
    const original = await extractFeatures(pipeline, { ...common, latents });
    const shifted = await extractFeatures(pipeline, { ...common, latents: moved });
    const byClass = classCorrespondence(original.features, classes);
    const byPart = partCorrespondence(original.features, shifted.features, original.grid, 1, followed);
    [chance, tokens] = [byClass.chance, byPart.tokens];
    rows.push({ features, classes: byClass.accuracy, parts: byPart.accuracy, stayed: byPart.stayed });
    await waitFor(onProgress?.(index + 2, total, features), signal);
  }
  return { rows, chance, images: classes.length, tokens };
}

/** Moved to the right by so many columns; the left one is repeated. */
function moveRight({ data, shape, dtype }: Tensor, columns: number): Tensor {
  const width = shape.at(-1)!;
  const source = data as Float32Array;
  return { data: source.map((_, at) => source[at - Math.min(at % width, columns)]!), shape, dtype };
}

/** For each picture the tokens that differ most within themselves, half of all: an even background has no parts. */
function interesting({ data, shape }: Tensor, [rows, columns]: readonly [number, number]): number[][] {
  const [images = 0, channels = 0, height = 0, width = 0] = shape;
  const [tall, wide] = [height / rows, width / columns];
  return Array.from({ length: images }, (_, image) => {
    const sums = Array.from({ length: rows * columns }, () => ({ sum: 0, square: 0 }));
    for (let at = 0; at < channels * height * width; at++) {
      const value = (data as Float32Array)[image * channels * height * width + at]!;
      const row = Math.floor((Math.floor(at / width) % height) / tall);
      const token = sums[row * columns + Math.floor((at % width) / wide)]!;
      token.sum += value;
      token.square += value * value;
    }
    const count = channels * tall * wide;
    const variance = sums.map(({ sum, square }) => square / count - (sum / count) ** 2);
    const order = variance.map((_value, token) => token).sort((a, b) => variance[b]! - variance[a]!);
    return order.slice(0, order.length >> 1);
  });
}
