/** Where in the model an edit sits. */
import { DetailGuidanceError } from '../errors';
import type { SiteReference } from '../guidance';
import type { PlannedModel } from './plan';

/**
 * The site of a layer's tap: a block's own output or input, or the attentions inside the block.
 *
 * @throws LAYER_OUT_OF_RANGE; SITE_NOT_FOUND when the block has no such stream or no attention that can be tapped
 */
export function locateSite(
  option: string,
  layer: number,
  tap: SiteReference['tap'],
  stream: string,
  { sites, layers }: PlannedModel,
): SiteReference {
  if (layer >= layers) {
    throw new DetailGuidanceError(
      'LAYER_OUT_OF_RANGE',
      `options.guidance has ${option} ${layer}; this model's layers are numbered 0 to ${layers - 1}.`,
      { found: layer, expected: `0 to ${layers - 1}` },
    );
  }
  const outputs = sites.filter((site) => site.block === layer && site.tap === 'output');
  const streams = [...new Set(outputs.map((site) => site.stream).filter((name) => name !== null))];
  const output = outputs.find((site) => site.stream === stream) ?? (streams.length === 0 ? outputs[0] : undefined);
  if (!output) {
    throw new DetailGuidanceError(
      'SITE_NOT_FOUND',
      `Layer ${layer} has no stream '${stream}' (${option}); ${streams.map((name) => `'${name}'`).join(' or ')} would be right.`,
      { found: stream, expected: streams.join(', ') },
    );
  }
  if (tap === 'output') return { path: output.path, tap, stream: output.stream };
  return { path: output.path, tap, stream: null };
}
