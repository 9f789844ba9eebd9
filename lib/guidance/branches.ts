/**
 * Branches of one's own: D̂ = Σ_b w_b(t) D_b, the general form of all guidance here. They take the place of the
 * conditional prediction that the other techniques start from; their weights have to add up to 1 in every step.
 */
import { z } from 'zod';

import { choice, finite, list, strictObject, text } from '../validation/vocabulary';

import { editSchema, resolveEdit } from './edit';
import type { Contribution, GuidanceContext } from './term';
import { windowed, windowOptions } from './window';

export const branchSchema = strictObject({
  /** What `plan.explain()` calls it. Default: by its conditioning and its edits. */
  name: text().optional(),
  conditioning: choice(['conditional', 'unconditional']).default('conditional'),
  /** Default: none. */
  edits: z.array(editSchema, { error: 'a list of edits' }).default([]),
  /** w, inside the window; 0 outside. */
  weight: finite(-1000, 1000),
  ...windowOptions,
});
export const branchesSchema = list(branchSchema, 'a list of branches');
export type BranchOptions = z.output<typeof branchSchema>;

export function branches(options: BranchOptions[], context: GuidanceContext): Contribution {
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
