/** How far into the model a branch runs before an edit changes it: what it can share with others. */
import type { PlanEdit } from '../native';

import type { PlannedModel } from './types';

/**
 * Blocks that are computed before the first of the edits acts; all blocks when there is none. An edit on a block's
 * output lets the block itself be shared; one inside it, or on what it is given, does not.
 */
export function untouchedBlocks(indices: readonly number[], edits: readonly PlanEdit[], model: PlannedModel): number {
  return Math.min(model.layers, ...indices.map((index) => blocksBefore(edits[index]!, model)));
}

function blocksBefore({ path, tap }: PlanEdit, { sites, layers }: PlannedModel): number {
  const first = sites.findIndex((site) => site.tap === tap && matches(path, site.path));
  if (first === -1) return 0;
  const { block, path: sitePath } = sites[first]!;
  if (block !== null && tap === 'output') return block + 1;
  const inside = sites.find(
    (site) => site.block !== null && (sitePath === site.path || sitePath.startsWith(`${site.path}.`)),
  );
  if (inside) return inside.block!;
  // Outside all blocks: sites are in order of evaluation, so the blocks listed before it are computed before it.
  const before = sites.slice(0, first).filter((site) => site.block !== null);
  return Math.min(layers, new Set(before.map((site) => site.block)).size);
}

/** The native side's patterns: `*` is one component of a path, `**` any number. */
export function matches(pattern: string, path: string): boolean {
  const source = pattern
    .split('.')
    .map((part) => (part === '**' ? '.+' : part === '*' ? '[^.]+' : part.replace(/[^\w]/g, '\\$&')))
    .join('\\.');
  return new RegExp(`^${source}$`).test(path);
}
