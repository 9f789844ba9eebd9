/** The Python side of the parity tests (reference/serve.py): one process, asked line by line. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { expect } from '@jest/globals';

import { decodeSafetensors, encodeSafetensors, toFloat32, type Tensor } from '../../lib/tensor';
import { testPython } from '../../scripts/test-packages.cjs';

/** Whether there is a Python to compare with; else why not. */
export const python = testPython();

/** Largest difference that counts as equal, relative to the largest value: fp32 on the CPU. */
export const tolerance = 1e-4;

export class Oracle {
  /** For bundles and tensors; gone with `close`. */
  readonly folder = mkdtempSync(join(tmpdir(), 'detail-guidance-parity-'));
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  #asked = 0;
  #complaints = '';

  constructor() {
    const script = join(__dirname, 'reference', 'serve.py');
    this.#process = spawn(python.path!, [script], { env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' } });
    this.#process.stderr.on('data', (text: Buffer) => (this.#complaints += text.toString()));
    this.#process.on('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`The reference ended: ${this.#complaints}`));
    });
    createInterface({ input: this.#process.stdout }).on('line', (line) => {
      const { id, error } = JSON.parse(line) as { id: number; error?: string };
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve();
      else waiting?.reject(new Error(error));
    });
  }

  /** Sends a request of serve.py and gives the tensors of its answer. */
  async ask(request: Record<string, unknown>, tensors: Record<string, Tensor> = {}): Promise<Record<string, Tensor>> {
    const id = ++this.#asked;
    const input = join(this.folder, `${id}.in.safetensors`);
    const output = join(this.folder, `${id}.out.safetensors`);
    writeFileSync(input, encodeSafetensors(tensors));
    await new Promise<void>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#process.stdin.write(`${JSON.stringify({ id, input, output, ...request })}\n`);
    });
    const answer = decodeSafetensors(readFileSync(output)).tensors;
    rmSync(input);
    rmSync(output);
    return answer;
  }

  /** Has the reference write the bundle of one of its models; gives the folder. */
  async bundle(subject: string): Promise<string> {
    const out = join(this.folder, subject);
    await this.ask({ op: 'write', subject, out });
    return out;
  }

  async close(): Promise<void> {
    const ended = once(this.#process, 'exit');
    this.#process.stdin.end();
    await ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** max |found − wanted| / max |wanted|. */
export function difference(found: Tensor, wanted: Tensor): number {
  expect(found.shape).toEqual(wanted.shape);
  const [a, b] = [toFloat32(found), toFloat32(wanted)];
  let [largest, distance] = [0, 0];
  b.forEach((value, index) => {
    largest = Math.max(largest, Math.abs(value));
    distance = Math.max(distance, Math.abs(value - a[index]!));
    if (Number.isNaN(a[index]!)) distance = NaN;
  });
  return distance / largest;
}

/**
 * Expects equality within the tolerance. With PARITY_REPORT set, the difference is appended to that file: one JSON
 * object a line.
 */
export function expectEqual(what: string, found: Tensor, wanted: Tensor): void {
  const distance = difference(found, wanted);
  const report = process.env['PARITY_REPORT'];
  if (report) appendFileSync(report, `${JSON.stringify({ what, distance })}\n`);
  expect(distance).toBeLessThan(tolerance);
}

/** Reproducible Gaussian values. */
export function noise(shape: number[], seed: number): Tensor {
  const size = shape.reduce((product, length) => product * length, 1);
  let state = (seed * 2654435761) >>> 0;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  const data = Float32Array.from(
    { length: size },
    () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
  return { data, shape, dtype: 'float32' };
}

export function floats(values: number[], shape: number[] = [values.length]): Tensor {
  return { data: Float32Array.from(values), shape, dtype: 'float32' };
}

export function integers(values: number[]): Tensor {
  return { data: BigInt64Array.from(values, BigInt), shape: [values.length], dtype: 'int64' };
}

/** One image of a batch, the first size 1. */
export function row({ data, shape, dtype }: Tensor, index: number): Tensor {
  const size = data.length / shape[0]!;
  return { data: data.slice(index * size, (index + 1) * size), shape: [1, ...shape.slice(1)], dtype };
}
