/**
 * Guidance put together in code. Each method adds to the weighted sum; what `build()` gives is the plain `guidance`
 * option.
 *
 *   new GuidanceBuilder()
 *     .towards({ conditioning: 'unconditional' }, -3)     // classifier-free guidance, s = 4
 *     .away([{ operation: 'zero', layer: 4, channels: 'auto' }], 0.3, { stop: 0.8 })
 *     .build()
 */
import type { BranchOptions } from './branches';
import type { Edit } from './edit';
import type { GuidanceOptions } from './options';
import type { GuidanceWindow } from './window';

/** Puts `guidance.branches` together, one difference of branches after the other. */
export class GuidanceBuilder {
  readonly #branches: BranchOptions[] = [{ weight: 1 }];

  /** Adds w · (D(c) − D_edited(c)): away from the model with these edits. */
  away(edits: Edit[], weight: number, window: GuidanceWindow = {}): this {
    return this.towards({ edits }, -weight, window);
  }

  /** Adds w · (D_b − D(c)): towards a branch, or, with a negative weight, away from it. */
  towards(branch: Omit<BranchOptions, 'weight' | 'start' | 'stop'>, weight: number, window: GuidanceWindow = {}): this {
    this.#branches.push({ ...branch, ...window, weight }, { ...window, weight: -weight });
    return this;
  }

  /** The option `guidance` of `generate`. Techniques by name can be added to it: `{ ...build(), rescale: {} }`. */
  build(): GuidanceOptions {
    return { branches: this.#branches.map((branch) => ({ ...branch })) };
  }
}
