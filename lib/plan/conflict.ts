/** Edits of one branch that touch the same values have no order that the caller could know. */
import { invalid } from '../validation/invalid';
import type { PlanEdit } from '../native';

/** @throws BAD_OPTION when two edits at one site share channels and tokens */
export function checkConflicts(branch: string, edits: readonly PlanEdit[]): void {
  edits.forEach((edit, index) => {
    const other = edits.slice(0, index).find((earlier) => conflict(earlier, edit));
    if (!other) return;
    const what =
      other.operation === edit.operation ? `two '${edit.operation}'` : `'${other.operation}' and '${edit.operation}'`;
    throw invalid(`The branch '${branch}'`, 'one edit for the same channels and tokens', edit.path, {
      shown: `${what} at ${edit.path} (${edit.tap})`,
    });
  });
}

function conflict(a: PlanEdit, b: PlanEdit): boolean {
  if (a.path !== b.path || a.tap !== b.tap) return false;
  if (a.stream !== b.stream && a.stream !== null && b.stream !== null) return false;
  return overlap(a.channels, b.channels) && overlap(a.tokens, b.tokens);
}

function overlap(a: number[] | null, b: number[] | null): boolean {
  if (a === null || b === null) return true;
  const chosen = new Set(a);
  return b.some((index) => chosen.has(index));
}
