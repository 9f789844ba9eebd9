/** Generated pictures on the disk, in safetensors files of equal length: `samples-00000.safetensors` and so on. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { invalid } from '../validation/invalid';
import { writeFileAtomic } from '../files/atomic';
import { encodeSafetensors } from '../tensor';

import { pictureSizes, readPictureTensors } from './pictureArray';
import type { PictureSet } from './pictureSet';

export const shardPattern = /^samples-\d{5}\.safetensors$/;

export function shardName(index: number): string {
  return `samples-${String(index).padStart(5, '0')}.safetensors`;
}

/** Writes one shard, whole or not at all: bytes [labels.length, height, width, channels]. @throws OUTPUT_UNWRITABLE */
export async function writeShard(
  file: string,
  pixels: Uint8Array,
  { height, width, channels }: Pick<PictureSet, 'height' | 'width' | 'channels'>,
  labels: readonly number[] | null,
  count: number,
): Promise<void> {
  const bytes = encodeSafetensors({
    images: { data: pixels, shape: [count, height, width, channels], dtype: 'uint8' },
    ...(labels
      ? { labels: { data: BigInt64Array.from(labels, BigInt), shape: [count], dtype: 'int64' as const } }
      : {}),
  });
  await writeFileAtomic(file, bytes);
}

/** All shards of a folder as one set. Every shard but the last has as many pictures as the first. @throws BAD_TENSOR */
export async function openShards(folder: string): Promise<PictureSet> {
  const files = (await readdir(folder)).filter((name) => shardPattern.test(name)).sort();
  const first = await readPictureTensors(join(folder, files[0]!));
  const { count: picturesOfShard, height, width, channels } = pictureSizes(files[0]!, first.images.shape);
  const last = await readPictureTensors(join(folder, files.at(-1)!));
  const count = (files.length - 1) * picturesOfShard + pictureSizes(files.at(-1)!, last.images.shape).count;
  const labels = first.labels === null ? null : new Int32Array(count);
  for (const [index, name] of files.entries()) {
    const shard = index === 0 ? first : await readPictureTensors(join(folder, name));
    if (shard.labels) labels?.set(shard.labels, index * picturesOfShard);
  }
  const size = height * width * channels;
  // Readers go from the first to the last: one shard in memory is enough.
  let held: { index: number; pixels: Uint8Array } | null = null;
  return {
    count,
    height,
    width,
    channels,
    labels,
    async read(from, to) {
      const pixels = new Uint8Array((to - from) * size);
      for (let picture = from; picture < to;) {
        const index = Math.floor(picture / picturesOfShard);
        const end = Math.min(to, (index + 1) * picturesOfShard);
        if (held?.index !== index) {
          const { images } = await readPictureTensors(join(folder, files[index]!));
          checkShard(files[index]!, images.shape, [
            Math.min(picturesOfShard, count - index * picturesOfShard),
            height,
            width,
            channels,
          ]);
          held = { index, pixels: images.data as Uint8Array };
        }
        const start = index * picturesOfShard;
        pixels.set(held.pixels.subarray((picture - start) * size, (end - start) * size), (picture - from) * size);
        picture = end;
      }
      return pixels;
    },
  };
}

function checkShard(file: string, shape: number[], expected: number[]): void {
  const { count, height, width, channels } = pictureSizes(file, shape);
  if ([count, height, width, channels].every((size, axis) => size === expected[axis])) return;
  throw invalid(file, `[${expected.join(', ')}], as its neighbours`, shape, { code: 'BAD_TENSOR' });
}
