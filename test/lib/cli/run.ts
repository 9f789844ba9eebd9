/** Runs the built command line as a user's shell does. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export const program = join(__dirname, '..', '..', '..', 'dist', 'cli.js');

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

interface RunOptions {
  cwd?: string;
  /** Sees the process and everything on stderr so far, whenever more arrives. */
  whileRunning?: (child: ChildProcessWithoutNullStreams, stderr: string) => void;
  /** The same of stdout. */
  onOutput?: (child: ChildProcessWithoutNullStreams, stdout: string) => void;
  /** Nobody reads the output, as after `| head -0`. */
  closeStdout?: boolean;
  /** Nobody reads what people are told. */
  closeStderr?: boolean;
}

export function run(
  args: string[],
  { cwd, whileRunning, onOutput, closeStdout = false, closeStderr = false }: RunOptions = {},
): Promise<Outcome> {
  if (!existsSync(program)) throw new Error(`${program} is missing; npm run build makes it`);
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { cwd, env: { ...process.env, DEBUG: '' } });
    let stdout = '';
    let stderr = '';
    child.stdin.end();
    if (closeStdout) child.stdout.destroy();
    if (closeStderr) child.stderr.destroy();
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
      onOutput?.(child, stdout);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
      whileRunning?.(child, stderr);
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
