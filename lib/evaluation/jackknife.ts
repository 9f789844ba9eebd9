/**
 * Standard errors by leaving out one group of images after the other (the delete-a-group jackknife), for statistics that
 * are not means, as the Fréchet distance. Groups are neighbouring images, so with classes in turn each has its share of
 * all classes.
 */
import { takeRows, type Features } from './features';
import { joinMoments, momentsOf, type Moments } from './moments';
import type { Pace } from './pace';

/** Moments of all images, and of all but each group. */
export interface GroupedMoments {
  all: Moments;
  without: Moments[];
}

/** @param groups 0 or 1: none */
export async function groupedMoments(features: Features, groups: number, pace: Pace): Promise<GroupedMoments> {
  const { count } = features;
  const used = Math.min(groups, Math.floor(count / 2));
  if (used < 2) return { all: await momentsOf(features, pace), without: [] };
  const parts: Moments[] = [];
  for (let group = 0; group < used; group++) {
    const [from, to] = [Math.floor((group * count) / used), Math.floor(((group + 1) * count) / used)];
    const rows = Array.from({ length: to - from }, (_, row) => from + row);
    parts.push(await momentsOf(takeRows(features, rows), pace));
  }
  // All but group g: those before it joined with those after it.
  const before = accumulate(parts);
  const after = accumulate([...parts].reverse()).reverse();
  const without = parts.map((_, group) => {
    const [left, right] = [before[group - 1], after[group + 1]];
    return left && right ? joinMoments(left, right) : (left ?? right)!;
  });
  return { all: before.at(-1)!, without };
}

/** Standard error of a statistic from its values without each group; null without groups. */
export function jackknifeError(without: readonly number[]): number | null {
  const groups = without.length;
  if (groups < 2) return null;
  const mean = without.reduce((sum, value) => sum + value, 0) / groups;
  return Math.sqrt(((groups - 1) / groups) * without.reduce((sum, value) => sum + (value - mean) ** 2, 0));
}

function accumulate(parts: readonly Moments[]): Moments[] {
  const sums: Moments[] = [];
  for (const part of parts) sums.push(sums.length > 0 ? joinMoments(sums.at(-1)!, part) : part);
  return sums;
}
