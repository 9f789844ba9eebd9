/** What is recorded of a run, so that its figures can be told from others'. */
import type { NetworkRecord } from './network';

/** The bundle that made the pictures. */
export interface EvaluatedBundle {
  /** As `bundle.json` says it. */
  name: string;
  /** SHA-256 of the transformer's file. */
  transformer: string;
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
