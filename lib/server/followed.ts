/** A pipeline that tells, step by step, how far the trajectory is that an analysis looks at. */
import type { ActivationSource } from '../analysis';

/** How far an analysis is. */
export interface AnalysisStep {
  /** The trajectory that is sampled, from 1. */
  trajectory: number;
  /** Steps of it that were looked at. */
  step: number;
  /** Its steps. */
  steps: number;
}

export function followed(pipeline: ActivationSource, onStep: (step: AnalysisStep) => void): ActivationSource {
  let trajectory = 0;
  return {
    bundle: pipeline.bundle,
    sites: pipeline.sites,
    plan: (options) => pipeline.plan(options),
    generate: (options) => pipeline.generate(options),
    encodePrompt: (...prompt) => pipeline.encodePrompt(...prompt),
    forward: (...inputs) => pipeline.forward(...inputs),
    shapes: (signal) => pipeline.shapes(signal),
    async *activations(options = {}) {
      const steps = pipeline.plan(options.generate ?? {}).steps.length;
      const records = pipeline.activations(options);
      trajectory++;
      let told = -1;
      try {
        for (;;) {
          const next = await records.next();
          if (next.done) return next.value;
          const { step } = next.value;
          if (step !== told) onStep({ trajectory, step: (told = step) + 1, steps });
          yield next.value;
        }
      } finally {
        await records.return(undefined as never);
      }
    },
  };
}
