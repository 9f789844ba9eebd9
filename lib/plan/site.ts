/** Where in the model an edit sits. */
import { invalid } from '../validation/invalid';
import type { SiteReference } from '../guidance';
import type { Site, Tap } from '../native';
import { nearestName } from '../validation/vocabulary';
import { matches } from './depth';
import type { PlannedModel } from './types';

/**
 * The output of a block in one stream.
 *
 * @throws LAYER_OUT_OF_RANGE; SITE_NOT_FOUND when the block has no such stream
 */
export function findOutput(option: string, layer: number, stream: string, model: PlannedModel): SiteReference {
  const outputs = blockOutputs(option, layer, model);
  const streams = outputs.map((site) => site.stream).filter((name) => name !== null);
  const output = outputs.find((site) => site.stream === stream);
  if (output) return { path: output.path, tap: 'output', stream };
  throw invalid(option, `a layer with the stream '${stream}'`, layer, {
    code: 'SITE_NOT_FOUND',
    note: `that layer has ${streams.map((name) => `'${name}'`).join(' and ')}`,
  });
}

/** The outputs of a block in all its streams. @throws LAYER_OUT_OF_RANGE */
export function findOutputs(option: string, layer: number, model: PlannedModel): SiteReference[] {
  return blockOutputs(option, layer, model).map(({ path, stream }) => ({ path, tap: 'output', stream }));
}

/**
 * The attentions inside a block.
 *
 * @throws LAYER_OUT_OF_RANGE; SITE_NOT_FOUND when the block has none that can be tapped
 */
export function findAttentions(option: string, layer: number, model: PlannedModel): SiteReference[] {
  const [{ path: block }] = blockOutputs(option, layer, model);
  const paths = model.sites
    .filter(({ tap, path }) => tap === 'attention' && (path === block || path.startsWith(`${block}.`)))
    .map(({ path }) => path);
  if (paths.length > 0) return [...new Set(paths)].map((path) => ({ path, tap: 'attention', stream: null }));
  throw invalid(option, 'a layer that calls scaled_dot_product_attention', layer, {
    code: 'SITE_NOT_FOUND',
    note: `no attention can be tapped in ${block}`,
  });
}

/** @throws SITE_NOT_FOUND for a pattern that stands for nothing with that tap */
export function checkPath(option: string, pattern: string, tap: Tap, { sites, bundle }: PlannedModel): void {
  const tapped = sites.filter((site) => site.tap === tap);
  // The native side knows how many components a `**` may stand for.
  if (pattern.includes('**') || tapped.some(({ path }) => matches(pattern, path))) return;
  const near = nearestName(pattern, [...new Set(tapped.map(({ path }) => path))]);
  const blocks = bundle.transformer.blocks.map(({ path }) => `'${path}'`).join(' and ');
  throw invalid(option, `a path with the tap '${tap}' (the blocks are ${blocks}; '*' is one component)`, pattern, {
    code: 'SITE_NOT_FOUND',
    note: near && `did you mean ${near}?`,
  });
}

function blockOutputs(option: string, layer: number, { sites, layers }: PlannedModel): [Site, ...Site[]] {
  const [first, ...others] = sites.filter((site) => site.block === layer && site.tap === 'output');
  if (layer < layers && first) return [first, ...others];
  throw invalid(option, `a layer from 0 to ${layers - 1}`, layer, { code: 'LAYER_OUT_OF_RANGE' });
}
