/** Threads for work on pictures, which would hold up the event loop for up to a second. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

import { packageRoot } from '../files/packageRoot';
import { isPermitted } from '../files/permission';
import { DetailGuidanceError, type ErrorCode } from '../validation/errors';

import { buffersIn } from './buffers';
import { tasks, type TaskName, type Tasks } from './tasks';

/** What a thread is sent. */
export interface Order {
  id: number;
  task: TaskName;
  args: readonly unknown[];
}

/** What it sends back. */
export interface Answer {
  id: number;
  result?: unknown;
  failure?: { name: string; message: string; code?: ErrorCode; expected?: string };
}

interface Waiting {
  resolve: (result: never) => void;
  reject: (error: unknown) => void;
}

/** Threads at once: so that compressing one picture does not hold up reading another. */
const mostThreads = 2;
/** Milliseconds after which a thread without work ends. */
const idleTime = 2000;

/** Where the build puts worker.ts. */
const workerFile = () => join(packageRoot(), 'dist', 'pictureWorker.cjs');

let isBuilt = false;

/** Not from the sources without a build, nor where Node's permission model allows none: the work is done on this thread. */
const mayHaveThreads = () => {
  isBuilt ||= existsSync(workerFile());
  return isBuilt && isPermitted('worker');
};

const threads = new Set<TaskThread>();

type Result<Name extends TaskName> = Awaited<ReturnType<Tasks[Name]>>;

export interface AsideOptions {
  /** It is done here, sooner than it is sent. */
  isSmall?: boolean;
  /** Of the arguments, those whose arrays the caller does not use any more: they are moved, not copied, and empty then. */
  givenAway?: readonly unknown[];
}

/**
 * Runs a task on another thread.
 *
 * @throws what the task throws
 */
export async function aside<Name extends TaskName>(
  task: Name,
  args: Parameters<Tasks[Name]>,
  { isSmall = false, givenAway = [] }: AsideOptions = {},
): Promise<Result<Name>> {
  if (!isSmall && mayHaveThreads()) return leastBusy().run<Result<Name>>(task, args, buffersIn(givenAway));
  return (await (tasks[task] as (...args: unknown[]) => unknown)(...args)) as Result<Name>;
}

function leastBusy(): TaskThread {
  const [first] = [...threads].sort((a, b) => a.load - b.load);
  if (first && (first.load === 0 || threads.size >= mostThreads)) return first;
  const thread = new TaskThread(() => threads.delete(thread));
  threads.add(thread);
  return thread;
}

class TaskThread {
  readonly #worker = new Worker(workerFile());
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor(private readonly onEnd: () => void) {
    this.#worker.on('message', (answer: Answer) => this.#take(answer));
    // An answer that cannot be read does not say whose it is.
    for (const event of ['error', 'messageerror'] as const) this.#worker.on(event, (error: Error) => this.#end(error));
    this.#worker.on('exit', () => this.#end(new Error('The thread that works on pictures ended.')));
  }

  /** Tasks that it has not done yet. */
  get load(): number {
    return this.#waiting.size;
  }

  run<Result>(task: TaskName, args: readonly unknown[], moved: ArrayBuffer[]): Promise<Result> {
    const id = this.#next++;
    return new Promise<Result>((resolve, reject) => {
      // First, since what cannot be sent is refused here, and nobody would wait for it.
      this.#worker.postMessage({ id, task, args } satisfies Order, moved);
      this.#waiting.set(id, { resolve, reject });
      clearTimeout(this.#idle);
      // It keeps the process alive while it has work, and no longer.
      this.#worker.ref();
    });
  }

  #take({ id, result, failure }: Answer): void {
    const { resolve, reject } = this.#waiting.get(id)!;
    this.#waiting.delete(id);
    if (failure) reject(errorOf(failure));
    else resolve(result as never);
    if (this.#waiting.size > 0) return;
    this.#worker.unref();
    this.#idle = setTimeout(() => {
      this.onEnd();
      void this.#worker.terminate();
    }, idleTime).unref();
  }

  #end(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.onEnd();
  }
}

function errorOf({ name, message, code, expected }: NonNullable<Answer['failure']>): Error {
  if (code) return new DetailGuidanceError(code, message, expected === undefined ? {} : { expected });
  if (name === 'SyntaxError') return new SyntaxError(message);
  return name === 'RangeError' ? new RangeError(message) : new Error(message);
}
