/** The threads of thread.ts: a task comes in, its result goes out. */
import { parentPort } from 'node:worker_threads';

import { DetailGuidanceError } from '../validation/errors';

import { buffersIn } from './buffers';
import type { Answer, Order } from './thread';
import { tasks } from './tasks';

parentPort?.on('message', (order: Order) => void work(order));

async function work({ id, task, args }: Order): Promise<void> {
  try {
    const result = await (tasks[task] as (...args: unknown[]) => unknown)(...args);
    parentPort!.postMessage({ id, result } satisfies Answer, buffersIn(result));
  } catch (error) {
    parentPort!.postMessage({ id, failure: failureOf(error) } satisfies Answer);
  }
}

/** An error loses its class and its fields on the way. */
function failureOf(error: unknown): Answer['failure'] {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  const { name, message } = error;
  if (!(error instanceof DetailGuidanceError)) return { name, message };
  const { code, expected } = error;
  return { name, message, code, ...(expected === undefined ? {} : { expected }) };
}
