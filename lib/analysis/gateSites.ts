/**
 * Where a block's AdaLN modulation is, and how it is laid out. The modulation MLP^k(t, c) gives chunks as wide as the
 * hidden state; which chunk is a residual gate follows from their number:
 *
 *   6  shift, scale, gate of the attention, then of the MLP      DiT, SD3, Flux (AdaLayerNormZero), PixArt, Wan
 *   9  the same, then of a second attention                      SD3.5 (SD35AdaLayerNormZeroX)
 *   3  shift, scale, gate of attention and MLP together          Flux' single blocks (AdaLayerNormZeroSingle)
 */
import { invalid } from '../validation/invalid';
import type { Site } from '../native';
import type { BlockOutput } from './blocks';

export interface Gate {
  /** attention, mlp, attention2, or block where one gate serves both. */
  branch: string;
  /** Chunk of the modulation that is α. */
  chunk: number;
}

export interface ModulationSite {
  layer: number;
  path: string;
  chunks: number;
  gates: Gate[];
}

const layouts: Readonly<Record<number, Gate[]>> = {
  3: [{ branch: 'block', chunk: 2 }],
  6: [
    { branch: 'attention', chunk: 2 },
    { branch: 'mlp', chunk: 5 },
  ],
  9: [
    { branch: 'attention', chunk: 2 },
    { branch: 'mlp', chunk: 5 },
    { branch: 'attention2', chunk: 8 },
  ],
};

/**
 * The modulation's last module, relative to the block: this package's DiT, the original DiT, diffusers; and where one
 * modulation serves all blocks, what adds the block's own table to it (models/export/modulation_table.py).
 */
const imagePaths = ['modulation', 'adaLN_modulation.1', 'norm1.linear', 'norm.linear', 'scale_shift_table'];
const textPaths = ['norm1_context.linear'];

/**
 * The modulation of each of the blocks.
 *
 * @param shapes of the sites, in their order, as `pipeline.shapes()` gives them
 * @param path its path relative to the block, when it is not one of the known ones
 * @throws SITE_NOT_FOUND when a block has no such site, or one whose width is not 3, 6 or 9 times the hidden state's
 */
export function findModulations(
  sites: readonly Site[],
  shapes: readonly (readonly number[] | null)[],
  blocks: readonly BlockOutput[],
  hiddenChannels: number,
  path?: string,
): ModulationSite[] {
  return blocks.map(({ layer, path: block, stream }) => {
    const relativePaths = path === undefined ? (stream === 'text' ? textPaths : imagePaths) : [path];
    const candidates = relativePaths.map((relative) => `${block}.${relative}`);
    const index = sites.findIndex((site) => site.tap === 'output' && candidates.includes(site.path));
    if (index === -1) {
      throw invalid('options.modulation', 'the path, in a block, of the module that gives its gates', undefined, {
        code: 'SITE_NOT_FOUND',
        note: `there is none at ${candidates.join(' or ')}`,
      });
    }
    const width = modulationWidth(shapes[index] ?? [], hiddenChannels);
    const chunks = width / hiddenChannels;
    const gates = layouts[chunks];
    if (gates) return { layer, path: sites[index]!.path, chunks, gates };
    throw invalid(sites[index]!.path, `3, 6 or 9 times the ${hiddenChannels} hidden channels`, width, {
      code: 'SITE_NOT_FOUND',
    });
  });
}

/** Of [images, chunks · channels], or of a table's sum [images, chunks, channels]. */
function modulationWidth(shape: readonly number[], hiddenChannels: number): number {
  const last = shape.at(-1) ?? 0;
  return shape.length === 3 && last === hiddenChannels ? shape[1]! * last : last;
}
