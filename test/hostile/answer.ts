/** The child's side of pool.ts: does what it is sent, and answers with what that ended in. */
import { DetailGuidanceError } from '../../lib/validation/errors';

import type { Ending } from './pool';

/** @param work gives 'ok' or a word of its own; throws what the package throws */
export function answer<Task>(work: (task: Task) => Promise<string>): void {
  process.on('message', (task: Task) => {
    void endOf(() => work(task)).then((ending) => process.send!(ending));
  });
}

async function endOf(work: () => Promise<string>): Promise<Ending> {
  try {
    return { end: await work() };
  } catch (error) {
    if (error instanceof DetailGuidanceError) return { end: error.code };
    const untyped = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { end: 'untyped', untyped };
  }
}
