/** What is recorded of a run, so that its figures can be told from others'. */
import type { QuantizationReport } from '../native';
import type { Pipeline } from '../pipeline';

import type { NetworkRecord } from './network';

/** The bundle that made the pictures. */
export interface EvaluatedBundle {
  /** As `bundle.json` says it. */
  name: string;
  /** SHA-256 of the transformer's file. */
  transformer: string;
}

/** Linear layers with 8 bit weights, as far as it tells figures apart. */
export interface QuantizedRun extends Pick<QuantizationReport, 'weights' | 'activations' | 'kept'> {
  /** How many. */
  layers: number;
  /** Input channels that were kept in float32, in any of them. */
  channels: number[];
}

/** For what `loadPipeline` was told to quantise, `{ quantized }`, else nothing. */
export function quantizedRun({ quantized }: Pick<Pipeline, 'quantized'>): Pick<RunRecord, 'quantized'> {
  if (!quantized) return {};
  const { weights, activations, kept, layers } = quantized;
  const channels = [...new Set(layers.flatMap((layer) => layer.channels))].sort((a, b) => a - b);
  return { quantized: { weights, activations, kept, layers: layers.length, channels } };
}

/** What has to be the same for figures to be compared. */
export interface RunRecord {
  /** Version of this object. */
  format: 1;
  /** What made the pictures. */
  bundle: EvaluatedBundle;
  /** Of the transformer: 'cpu' or 'cuda:N'. */
  device: string;
  /** Of weights and activations. */
  dtype: string;
  /** How linear layers were rounded to 8 bits; absent where they were not. */
  quantized?: QuantizedRun;
  /** Null without one. */
  classifier: NetworkRecord | null;
  /** Pictures of each setting. */
  samples: number;
  /** Of the first picture. */
  seed: number;
  /** Steps of the sampler. */
  numInferenceSteps: number;
  /** Where high frequencies begin, in cycles per pixel. */
  cutoff: number;
}
