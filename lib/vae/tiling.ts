/**
 * Decoding in tiles, for pictures whose activations would not fit: neighbouring tiles overlap by a quarter and are
 * blended linearly, as diffusers' `AutoencoderKL.tiled_decode` does.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';

import { crop, paste, type Planes } from './planes';

const overlap = 0.25;

/**
 * Decodes latents tile by tile.
 *
 * @param tile side of a tile in latent cells
 * @param scale pixels along one side of a cell
 * @param decode one tile
 */
export async function decodeTiles(
  latents: Planes,
  tile: number,
  scale: number,
  decode: (latents: Planes) => Promise<Planes>,
): Promise<Planes> {
  const stride = Math.floor(tile * (1 - overlap));
  const blend = Math.floor(tile * scale * overlap);
  const span = tile * scale - blend;
  const height = latents.height * scale;
  const width = latents.width * scale;
  const rows: Planes[][] = [];
  for (let top = 0; top < latents.height; top += stride) {
    const row: Planes[] = [];
    for (let left = 0; left < latents.width; left += stride) {
      row.push(await decode(crop(latents, top, left, tile, tile)));
    }
    rows.push(row);
  }
  const channels = rows[0]![0]!.channels;
  const picture: Planes = { data: new Float32Array(channels * height * width), channels, height, width };
  for (const [y, row] of rows.entries()) {
    for (const [x, piece] of row.entries()) {
      if (y > 0) fade(rows[y - 1]![x]!, piece, blend, 'down');
      if (x > 0) fade(row[x - 1]!, piece, blend, 'right');
      paste(crop(piece, 0, 0, span, span), picture, y * span, x * span);
      await nextTurn();
    }
  }
  return picture;
}

/** The first rows (columns) of `next` fade in over the last ones of `before`. */
function fade(before: Planes, next: Planes, most: number, direction: 'down' | 'right'): void {
  const down = direction === 'down';
  const extent = down ? Math.min(before.height, next.height, most) : Math.min(before.width, next.width, most);
  const rows = down ? extent : Math.min(before.height, next.height);
  const columns = down ? Math.min(before.width, next.width) : extent;
  const top = down ? before.height - extent : 0;
  const left = down ? 0 : before.width - extent;
  for (let channel = 0; channel < next.channels; channel++) {
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        const share = (down ? y : x) / extent;
        const own = (channel * next.height + y) * next.width + x;
        const other = (channel * before.height + top + y) * before.width + left + x;
        next.data[own] = before.data[other]! * (1 - share) + next.data[own]! * share;
      }
    }
  }
}
