/** How far into the model a branch runs before an edit changes it: what it can share with others. */
import type { PlanEdit } from '../native';

import type { PlannedModel } from './types';

/**
 * Blocks that are computed before the first of the edits acts; all blocks when there is none. An edit on a block's
 * output lets the block itself be shared; one inside it, or on what it is given, does not.
 */
export function untouchedBlocks(indices: readonly number[], edits: readonly PlanEdit[], model: PlannedModel): number {
  return indices.reduce((least, index) => Math.min(least, blocksBefore(edits[index]!, model)), model.layers);
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

/** The native side's patterns, as site.cc has them: `*` is one component of a path, `**` any number, at the end one at least. */
export function matches(pattern: string, path: string): boolean {
  if (!pattern.includes('*')) return pattern === path;
  const [heads, parts] = [pattern.split('.'), path.split('.')];
  // Which beginnings of the path fit what was read of the pattern: to try out what each ** stands for would take for ever.
  let fits = [true, ...parts.map(() => false)];
  for (const [index, head] of heads.entries()) {
    const isLast = index === heads.length - 1;
    let isReached = false;
    fits = fits.map((fitted, end) => {
      const isFit =
        head === '**'
          ? isReached || (fitted && !isLast)
          : end > 0 && fits[end - 1]! && (head === '*' || head === parts[end - 1]);
      isReached ||= fitted;
      return isFit;
    });
  }
  return fits.at(-1)!;
}
