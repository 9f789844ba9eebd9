/** Processes that do what may end a process. One that ends or hangs is counted and replaced by another. */
import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';

import { buildSync } from 'esbuild';

/** What a task ended in: 'ok', an error's code, or, for an error of no known kind, what it says. */
export interface Ending {
  end: string;
  untyped?: string;
}

/** After this long without an answer a task hangs. */
export const hangMilliseconds = 60_000;

/** Of the package: these sources run bundled too. */
const root = process.env['FUZZ_ROOT'] ?? join(__dirname, '..', '..');

/**
 * Bundles a child's program, and gives its path: in the package, where it finds the addon.
 *
 * @param entry its source: on a message it does a task, and answers with the `Ending`
 */
export function buildChild(entry: string): string {
  const outfile = join(root, 'build', 'hostile', `child-${process.pid}.cjs`);
  buildSync({
    entryPoints: [join(root, entry)],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    logLevel: 'error',
    define: { 'import.meta.url': 'undefined' },
    external: ['@resvg/resvg-wasm'],
  });
  return outfile;
}

/** A child, started when it is needed. */
export class Child {
  #process: ChildProcess | null = null;
  #complaints = '';

  /** @param cwd folder that the child runs in */
  constructor(
    private readonly program: string,
    private readonly cwd: string,
    private readonly patience = hangMilliseconds,
  ) {}

  /** What a task ended in: also 'crash' with the signal or exit code, and 'hang'. */
  run(task: object): Promise<Ending> {
    const child = (this.#process ??= this.#start());
    this.#complaints = '';
    return new Promise((resolve) => {
      const settle = (ending: Ending) => {
        clearTimeout(timer);
        child.removeAllListeners('message').removeAllListeners('exit');
        resolve(ending);
      };
      const timer = setTimeout(() => {
        this.#process = null;
        child.kill('SIGKILL');
        settle({ end: 'hang' });
      }, this.patience);
      child.once('message', (ending) => settle(ending as Ending));
      child.once('exit', (code, signal) => {
        this.#process = null;
        settle({ end: 'crash', untyped: `${signal ?? `exit code ${code}`}: ${this.#complaints.slice(-2000)}` });
      });
      child.send(task);
    });
  }

  async close(): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (!child) return;
    await new Promise((resolve) => child.once('exit', resolve).kill('SIGKILL'));
  }

  #start(): ChildProcess {
    const child = fork(this.program, [], {
      cwd: this.cwd,
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [],
      // Jest's process.env is a copy that children do not see.
      env: { ...process.env },
    });
    child.stderr!.on('data', (text: Buffer) => (this.#complaints += text.toString()));
    return child;
  }
}
