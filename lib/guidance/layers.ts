/** Which blocks a technique touches. */
import { describedBy } from '../validation/describedBy';
import { either, list, whole } from '../validation/vocabulary';

import type { GuidanceContext } from './term';

/** Index of a block from 0, counted through all block lists in order of evaluation; or several. */
export type Layers = number | number[];

export const layersSchema = describedBy<Layers>()(
  either([whole(0), list(whole(0), 'a list of whole numbers from 0')], 'a block index from 0, or a list of them,'),
);

/** The chosen layers, ascending and without duplicates. */
export function chooseLayers(layers: Layers): number[] {
  return [...new Set(typeof layers === 'number' ? [layers] : layers)].sort((a, b) => a - b);
}

/**
 * Layers that a publication names for a model of `depth` blocks, carried over to this model by relative depth.
 * For a model of the published depth they are the published ones.
 */
export function atRelativeDepth(published: readonly number[], depth: number, { layers }: GuidanceContext): number[] {
  return chooseLayers(published.map((layer) => Math.min(Math.floor((layer * layers) / depth), layers - 1)));
}
