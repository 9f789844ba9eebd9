/** Programs in processes of their own, so that a signal is seen. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const dist = join(__dirname, '..', '..', '..', 'dist', 'index.cjs');

export interface Ended {
  /** Of process.exit, or the name of the signal that ended it; 'still running' after the time limit. */
  how: number | string;
  stdout: string;
  stderr: string;
}

export function runProgram(name: string, args: string[] = [], flags: string[] = []): Promise<Ended> {
  if (!existsSync(dist)) throw new Error(`${dist} is missing; npm run build makes it`);
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...flags, join(__dirname, 'programs', name), ...args]);
    let [stdout, stderr, late] = ['', '', false];
    const limit = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, 120_000);
    child.stdin.end();
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(limit);
      resolve({ how: late ? 'still running' : (signal ?? code ?? 'nothing'), stdout, stderr });
    });
  });
}

/** Least-squares slope, per item. */
export function slope(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const [above, below] = values.reduce(
    ([x, y], value, at) => [x + (at - middle) * (value - mean), y + (at - middle) ** 2],
    [0, 0],
  );
  return above / below;
}
