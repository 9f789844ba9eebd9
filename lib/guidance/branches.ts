/**
 * Branches of one's own: D̂ = Σ_b w_b(t) D_b, the general form of all guidance here. They take the place of the
 * conditional prediction that the other techniques start from; their weights have to add up to 1 in every step.
 */
import { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { choice, finite, list, text } from '../validation/vocabulary';

import { editSchema, resolveEdit, type Edit } from './edit';
import type { Conditioning, Contribution, GuidanceContext } from './term';
import { windowed, techniqueSchema, type GuidanceWindow } from './window';

/** A branch of one's own: the model under a conditioning, with edits, and its weight in the sum. */
export interface BranchOptions extends GuidanceWindow {
  /** What `plan.explain()` and `activations()` call it; a second of the name is '… (2)'. Default: by its conditioning and its edits. */
  name?: string;
  /** Whether it is given the prompt or class, or nothing (the negative prompt). Default 'conditional'. */
  conditioning?: Conditioning;
  /** What is changed in its hidden states. Default: nothing. BAD_OPTION for edits that touch the same numbers. */
  edits?: Edit[];
  /** w inside the window, −1000 to 1000; outside it is 0. */
  weight: number;
}

export const branchSchema = describedBy<BranchOptions>()(
  techniqueSchema({
    name: text().optional(),
    conditioning: choice(['conditional', 'unconditional']).default('conditional'),
    edits: z.array(editSchema, { error: 'a list of edits' }).default([]),
    weight: finite(-1000, 1000),
  }),
);
export const branchesSchema = list(branchSchema, 'a list of branches');

export function branches(options: z.output<typeof branchesSchema>, context: GuidanceContext): Contribution {
  return {
    terms: [],
    branches: options.map((branch, index) => {
      const option = `options.guidance.branches[${index}]`;
      const edits = branch.edits.flatMap((edit, at) => resolveEdit(`${option}.edits[${at}]`, edit, context));
      const what = branch.edits.map(
        ({ operation, layer, path }) => `${operation} at ${path ?? `layer ${String(layer)}`}`,
      );
      const name = branch.name ?? [branch.conditioning, ...what].join(', ');
      return {
        branch: { name, conditioning: branch.conditioning, edits },
        weights: windowed(branch.weight, branch, context),
      };
    }),
  };
}
