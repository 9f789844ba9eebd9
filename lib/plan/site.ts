/** Where in the model an edit sits. */
import { distance } from 'fastest-levenshtein';

import { invalid, shortened } from '../validation/invalid';
import type { SiteReference } from '../guidance';
import type { Site } from '../native';
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

/**
 * That the model has what a path names; the native side finds the same once it runs.
 *
 * @throws SITE_NOT_FOUND with what is near, or the streams there are
 */
export function checkSite(option: string, { path, tap, stream }: SiteReference, { sites, bundle }: PlannedModel): void {
  const tapped = sites.filter((site) => site.tap === tap);
  const outputs = tapped.filter((site) => matches(path, site.path));
  if (outputs.length === 0) {
    const near = nearestPaths(path, tapped);
    const blocks = bundle.transformer.blocks.map((block) => `'${block.path}'`).join(' and ');
    throw invalid(
      `${option}.path`,
      `a path with the tap '${tap}' (the blocks are ${blocks}; '*' is one component)`,
      path,
      {
        code: 'SITE_NOT_FOUND',
        note: near.length > 0 ? `the nearest are ${near.join(', ')}` : 'there are none',
      },
    );
  }
  if (stream === null || outputs.some((site) => site.stream === stream)) return;
  const streams = new Set(outputs.flatMap((site) => (site.stream === null ? [] : [`'${site.stream}'`])));
  throw invalid(`${option}.stream`, [...streams].join(' or ') || 'nothing', stream, {
    code: 'SITE_NOT_FOUND',
    note: `what '${shortened(path)}' has`,
  });
}

/** The paths that are most like a misspelt one. */
function nearestPaths(path: string, sites: readonly Site[]): string[] {
  const edits = new Map(sites.map((site) => [site.path, distance(site.path, path.slice(0, 200))]));
  return [...edits].sort(([, a], [, b]) => a - b).flatMap(([near], index) => (index < 5 ? [near] : []));
}

function blockOutputs(option: string, layer: number, { sites, layers }: PlannedModel): [Site, ...Site[]] {
  const [first, ...others] = sites.filter((site) => site.block === layer && site.tap === 'output');
  if (layer < layers && first) return [first, ...others];
  throw invalid(option, `a layer from 0 to ${layers - 1}`, layer, { code: 'LAYER_OUT_OF_RANGE' });
}
