/** Runs tasks that may end the process (pool.ts): one after the other, each answered by what it ended in. */
import { DetailGuidanceError } from '../../lib/validation/errors';

import { runTask, type Task } from './tasks';

/** What a task ended in: 'ok', an error's code, or, for an error of no known kind, what it says. */
export interface Ending {
  end: string;
  untyped?: string;
}

async function endOf(task: Task): Promise<Ending> {
  try {
    return { end: await runTask(task) };
  } catch (error) {
    if (error instanceof DetailGuidanceError) return { end: error.code };
    const untyped = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { end: 'untyped', untyped };
  }
}

process.on('message', (task: Task) => {
  void endOf(task).then((ending) => process.send!(ending));
});
