/** Where in the model an edit sits. */
import { DetailGuidanceError } from '../validation/errors';
import type { SiteReference } from '../guidance';
import type { Site } from '../native';
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
  throw new DetailGuidanceError(
    'SITE_NOT_FOUND',
    `${option} is ${layer}, which has no stream '${stream}'; ${streams.map((name) => `'${name}'`).join(' or ')} would be right.`,
    { found: stream, expected: streams.join(', ') },
  );
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
  throw new DetailGuidanceError(
    'SITE_NOT_FOUND',
    `${option} is ${layer}, but ${block} has no attention that can be tapped; a block that calls scaled_dot_product_attention would be right.`,
    { found: block, expected: 'a block that calls scaled_dot_product_attention' },
  );
}

function blockOutputs(option: string, layer: number, { sites, layers }: PlannedModel): [Site, ...Site[]] {
  const [first, ...others] = sites.filter((site) => site.block === layer && site.tap === 'output');
  if (layer < layers && first) return [first, ...others];
  throw new DetailGuidanceError(
    'LAYER_OUT_OF_RANGE',
    `${option} is ${layer}; this model's layers are numbered 0 to ${layers - 1}.`,
    { found: layer, expected: `0 to ${layers - 1}` },
  );
}
