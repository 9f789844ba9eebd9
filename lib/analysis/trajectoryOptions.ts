/** What every analysis along sampled trajectories takes. */
import { z } from 'zod';

import { abortSignal, list, text, whole } from '../validation/vocabulary';

import { progressCallback, type AnalysisProgress } from './analysisProgress';
import type { Conditions } from './conditions';

/** The trajectories along which a model is looked at, and the blocks. */
export interface TrajectoryOptions {
  /**
   * What the model is conditioned on, each as `generate` takes it. Default: up to ten classes, spread over all. BAD_OPTION
   * without it for a model that has no classes.
   */
  conditions?: readonly Conditions[];
  /** Layers that are looked at, from 0. Default: all that have the stream. LAYER_OUT_OF_RANGE. */
  layers?: number[];
  /** Seed of the first noise; a whole number from 0. Default 0. */
  seed?: number;
  /** Steps of a trajectory: the timesteps that are looked at. From 1 (`traceMagnitude`: 2) to 1000. Default 10. */
  numInferenceSteps?: number;
  /** Stream of the blocks, as the bundle names it. Default 'image'. SITE_NOT_FOUND. */
  stream?: string;
  /** Called after every trajectory. */
  onProgress?: (event: AnalysisProgress) => unknown;
  /** Ends the run within one evaluation of the model; the call then rejects with an AbortError. */
  signal?: AbortSignal;
}

/** @param fewestSteps of a trajectory */
export function trajectoryShape(fewestSteps = 1) {
  return {
    conditions: z.custom<readonly Conditions[]>(Array.isArray, { error: 'a list of conditions' }).optional(),
    layers: list(whole(0), 'a list of layers').optional(),
    seed: whole(0).default(0),
    numInferenceSteps: whole(fewestSteps, 1000).default(10),
    stream: text('the name of a stream').default('image'),
    onProgress: progressCallback().optional(),
    signal: abortSignal().optional(),
  };
}
