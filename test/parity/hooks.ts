/** Edits as Python's reference takes them, in the words of `pipeline.forward`. */
import type { Edit, Hook } from '../../lib';
import type { PlanEdit } from '../../lib/native';

/** An edit of a single run: everything that is left out is meant by default. */
export type ReferenceEdit = Pick<PlanEdit, 'path' | 'operation'> & Partial<PlanEdit>;

export function hookOf({ path, tap, stream, channels, tokens, retention, ...edit }: ReferenceEdit): Hook {
  // The grid is the model's own, which a caller does not give.
  delete edit.grid;
  const words = {
    ...edit,
    ...(channels ? { channels } : {}),
    ...(tokens ? { tokens } : {}),
    ...(retention ? { retention: retention[0] } : {}),
  };
  return { path, ...(tap ? { tap } : {}), stream: stream ?? null, edits: [words as Edit] };
}
