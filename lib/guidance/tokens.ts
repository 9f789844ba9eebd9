/**
 * The image tokens that an edit touches. Limiting a disruption to some of them is Local Detail Guidance (Gan et al.,
 * arXiv 2607.02968; the reading that ρ_t is applied to the tokens of a set is ours).
 */
import { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { invalid } from '../validation/invalid';
import type { PlanEdit } from '../native';
import { either, list, whole } from '../validation/vocabulary';
import { checkTensor, toFloat32, type Tensor } from '../tensor';

import type { GuidanceContext } from './term';

/** Image tokens: indices from 0, row by row; or a mask of 0 to 1, rows or [height, width], resized: half covered counts. */
export type Tokens = number[] | (number | boolean)[][] | Tensor;

export const tokensSchema = describedBy<Tokens>()(
  either(
    [
      list(whole(0), 'a list of token indices from 0'),
      z.array(z.array(z.union([z.number().min(0).max(1), z.boolean()])).min(1)).min(1),
      z.custom<Tensor>((value) => typeof value === 'object' && value !== null && 'data' in value && 'shape' in value),
    ],
    'a list of token indices from 0, or a mask of numbers from 0 to 1: rows of equal length, or a tensor [height, width]',
  ),
);

/**
 * The indices of the chosen tokens, ascending and without duplicates; null when all are meant.
 * A mask is averaged over the area of each token, and a token is chosen when at least half of it is.
 *
 * @param isImage the tokens are the image's, whose number is known
 * @throws TOKEN_OUT_OF_RANGE for an index beyond the grid; BAD_TENSOR for rows of different lengths, a tensor of another
 *   rank than 2, or one with numbers beyond 0 and 1; BAD_OPTION for a mask that leaves no token
 */
export function chooseTokens(
  option: string,
  tokens: Tokens | undefined,
  context: Pick<GuidanceContext, 'tokenGrid'>,
  isImage = true,
): number[] | null {
  if (tokens === undefined) return null;
  const [rows, columns] = context.tokenGrid;
  if (Array.isArray(tokens) && typeof tokens[0] === 'number') {
    const indices = [...new Set(tokens as number[])].sort((a, b) => a - b);
    const beyond = isImage ? indices.find((index) => index >= rows * columns) : undefined;
    if (beyond === undefined) return indices;
    throw invalid(option, `tokens from 0 to ${rows * columns - 1}`, beyond, {
      code: 'TOKEN_OUT_OF_RANGE',
      note: `this model has ${rows} x ${columns} image tokens`,
    });
  }
  const chosen = resize(option, readMask(option, tokens as Tensor | (number | boolean)[][]), rows, columns);
  if (chosen.length > 0) return chosen;
  throw invalid(option, `a mask that covers at least half of one of ${rows} x ${columns} tokens`, tokens, {
    shown: 'one that covers less',
  });
}

/**
 * What limits an edit of an attention to its image tokens, where image and text attend together: nothing is needed
 * where there is no text; the image's tokens are the first, or the last ones.
 */
export function imagePart(
  tokens: number[] | null,
  { jointAttention, tokenGrid: [rows, columns] }: Pick<GuidanceContext, 'jointAttention' | 'tokenGrid'>,
): Pick<PlanEdit, 'tokens' | 'lastTokens'> {
  if (jointAttention === 'text-first') return { tokens, lastTokens: rows * columns };
  const isJoint = jointAttention === 'image-first';
  return { tokens: tokens ?? (isJoint ? Array.from({ length: rows * columns }, (_, token) => token) : null) };
}

function readMask(option: string, mask: Tensor | (number | boolean)[][]): number[][] {
  if (!Array.isArray(mask)) {
    const { data, shape, dtype } = checkTensor(mask, { name: option, shape: [null, null], finite: true });
    const values = dtype.includes('float') ? toFloat32(mask) : Array.from(data as Uint8Array, Number);
    const beyond = Array.from(values).find((value) => value < 0 || value > 1);
    if (beyond !== undefined) {
      throw invalid(option, 'a mask of numbers from 0 to 1', beyond, {
        code: 'BAD_TENSOR',
        note: 'of a picture with values up to 255 divide by 255',
      });
    }
    const [height, width] = shape as [number, number];
    return Array.from({ length: height }, (_, row) => Array.from(values.slice(row * width, (row + 1) * width)));
  }
  const width = mask[0]!.length;
  const odd = mask.findIndex((row) => row.length !== width);
  if (odd === -1) return mask.map((row) => row.map(Number));
  throw invalid(option, `${width} numbers in every row of the mask`, mask[odd]!.length, {
    code: 'BAD_TENSOR',
    shown: `${mask[odd]!.length} in row ${odd}`,
  });
}

function resize(option: string, mask: number[][], rows: number, columns: number): number[] {
  const height = mask.length;
  const width = mask[0]?.length ?? 0;
  if (height === 0 || width === 0) {
    throw invalid(option, 'a mask with at least one number', mask, {
      code: 'BAD_TENSOR',
      shown: 'an empty one',
    });
  }
  const chosen: number[] = [];
  for (let token = 0; token < rows * columns; token++) {
    const row = Math.floor(token / columns);
    const column = token % columns;
    const vertical = overlaps(row, rows, height);
    const horizontal = overlaps(column, columns, width);
    let covered = 0;
    for (const [y, tall] of vertical) for (const [x, wide] of horizontal) covered += tall * wide * mask[y]![x]!;
    // The overlaps of a token add up to 1; the margin is for their rounding.
    if (covered >= 0.5 - 1e-9) chosen.push(token);
  }
  return chosen;
}

/** The mask pixels under one token along one axis, with the share of the token that each covers. */
function overlaps(token: number, tokens: number, pixels: number): [pixel: number, share: number][] {
  const size = pixels / tokens;
  const begin = token * size;
  const end = begin + size;
  const shares: [number, number][] = [];
  for (let pixel = Math.floor(begin); pixel < Math.min(Math.ceil(end), pixels); pixel++) {
    shares.push([pixel, (Math.min(end, pixel + 1) - Math.max(begin, pixel)) / size]);
  }
  return shares;
}
