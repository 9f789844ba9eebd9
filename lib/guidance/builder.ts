/**
 * Guidance put together in code. Each method adds to the weighted sum; what `build()` gives is the plain `guidance`
 * option.
 *
 *   new GuidanceBuilder()
 *     .towards({ conditioning: 'unconditional' }, -3)     // classifier-free guidance, s = 4
 *     .away([{ operation: 'zero', layer: 4, channels: 'auto' }], 0.3, { stop: 0.8 })
 *     .build()
 */
import type { z } from 'zod';

import type { branchSchema } from './branches';
import type { GuidanceInput } from './options';

type BranchInput = z.input<typeof branchSchema>;
type EditInput = NonNullable<BranchInput['edits']>[number];

/** Fractions of the steps; see the options of the techniques. */
export interface Window {
  start?: number;
  stop?: number;
}

export class GuidanceBuilder {
  readonly #branches: BranchInput[] = [{ weight: 1 }];

  /** Adds w · (D(c) − D_edited(c)): away from the model with these edits. */
  away(edits: EditInput[], weight: number, window: Window = {}): this {
    return this.towards({ edits }, -weight, window);
  }

  /** Adds w · (D_b − D(c)): towards a branch, or, with a negative weight, away from it. */
  towards(branch: Omit<BranchInput, 'weight' | 'start' | 'stop'>, weight: number, window: Window = {}): this {
    this.#branches.push({ ...branch, ...window, weight }, { ...window, weight: -weight });
    return this;
  }

  /** The option `guidance` of `generate`. Techniques by name can be added to it: `{ ...build(), rescale: {} }`. */
  build(): GuidanceInput {
    return { branches: this.#branches.map((branch) => ({ ...branch })) };
  }
}
