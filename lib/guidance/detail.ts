/**
 * Detail Guidance, Gan et al., "Massive Activations are the Key to Local Detail Synthesis in Diffusion Transformers",
 * arXiv 2510.11538, ICLR 2026:
 *
 *   D̂ = D(c) + w (D(c) − D_m(c)),  with CFG  D̂ = D(c) + λ (D(c) − D(∅)) + w (D(c) − D_m(c))
 *
 * D_m is the detail-deficient model of disruption.ts. With `tokens` it is Local Detail Guidance, with a `retention`
 * that depends on the timestep the follow-up's form (arXiv 2607.02968).
 */
import type { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { finite } from '../validation/vocabulary';

import { detailDeficient, disruptionOptions, type DisruptionOptions } from './disruption';
import { reuseOf, reuseOptions, type ReuseOptions } from './reuse';
import { conditional, type Contribution, type GuidanceContext } from './term';
import { windowed, techniqueSchema, type GuidanceWindow } from './window';

/** Detail Guidance, arXiv 2510.11538; with `tokens` Local Detail Guidance, arXiv 2607.02968. */
export interface DetailOptions extends DisruptionOptions, ReuseOptions, GuidanceWindow {
  /** w, from 0 to 100. The paper gives no number; above 1 small models overshoot. Default 0.3. */
  scale?: number;
}

export const detailSchema = describedBy<DetailOptions>()(
  techniqueSchema({ scale: finite(0, 100).default(0.3), ...disruptionOptions, ...reuseOptions }),
);
type Detail = z.output<typeof detailSchema>;

/** Several entries are several degraded branches, each with its own weight. */
export function detail(options: Detail | Detail[], context: GuidanceContext): Contribution {
  const several = Array.isArray(options);
  const entries = several ? options : [options];
  return {
    terms: entries.map((entry, index) => {
      const option = several ? `options.guidance.detail[${index}]` : 'options.guidance.detail';
      const weights = windowed(entry.scale, entry, context);
      return {
        technique: 'detail',
        positive: conditional,
        negative: detailDeficient(option, entry, context),
        weights,
        ...reuseOf(option, entry.reuse, weights, context),
      };
    }),
  };
}
