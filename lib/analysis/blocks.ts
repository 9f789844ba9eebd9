/** The outputs of a model's blocks: the residual stream, layer by layer. */
import { invalid } from '../validation/invalid';
import type { Site } from '../native';

export interface BlockOutput {
  layer: number;
  path: string;
  stream: string;
}

/**
 * The outputs of blocks in one stream, in order of evaluation.
 *
 * @param layers 0-based; default all that have the stream
 * @throws LAYER_OUT_OF_RANGE for a layer that the model has not; SITE_NOT_FOUND for a stream that it has not
 */
export function blockOutputs(sites: readonly Site[], stream: string, layers?: readonly number[]): BlockOutput[] {
  const outputs = sites.filter(({ tap, block }) => tap === 'output' && block !== null);
  const last = Math.max(-1, ...outputs.map(({ block }) => block!));
  const beyond = layers?.find((layer) => !Number.isInteger(layer) || layer < 0 || layer > last);
  if (beyond !== undefined) {
    throw invalid('options.layers', `layers from 0 to ${last}`, beyond, { code: 'LAYER_OUT_OF_RANGE' });
  }
  const blocks = outputs
    .filter((site) => site.stream === stream && (!layers || layers.includes(site.block!)))
    .map(({ path, block }) => ({ layer: block!, path, stream }));
  if (blocks.length > 0) return blocks;
  const streams = [...new Set(outputs.map((site) => site.stream).filter((name) => name !== null))];
  throw invalid('options.stream', streams.map((name) => `'${name}'`).join(' or '), stream, {
    code: 'SITE_NOT_FOUND',
    note: layers && `in layers ${layers.join(', ')}`,
  });
}
