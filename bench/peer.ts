/** The Python side: one process that keeps its models warm and is asked line by line (peer/serve.py). */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import type { PeerSampling } from './comparisons';
import { task } from './own';
import { blocksBefore } from './statistics';
import type { Timing } from './turns';

/** What the process says of itself when it begins. */
export interface PeerDescription {
  torch: string;
  threads: number;
  /** Why bfloat16 has no instructions of its own there, or null. */
  withoutBfloat16: string | null;
  /** The processor, or the CUDA device. */
  deviceName: string;
  /** Settings it was given that are not PyTorch's defaults. */
  settings: string[];
}

export interface PeerOptions {
  python: string;
  root: string;
  bundle: string;
  size: string;
  device: string;
  blocks: number;
  steps: number;
  /** For what torch.compile makes. */
  cache: string;
}

/** Threads wait for each other as ours do (native/preload), unless the environment says otherwise. */
function briefWaiting(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const isSettled = environment.OMP_WAIT_POLICY !== undefined || environment.GOMP_SPINCOUNT !== undefined;
  return isSettled ? {} : { OMP_WAIT_POLICY: 'ACTIVE', GOMP_SPINCOUNT: '1000' };
}

export class PeerSide {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #answers: AsyncIterator<string>;
  readonly #options: PeerOptions;
  #complaints = '';

  constructor(options: PeerOptions) {
    this.#options = options;
    const { python, root, bundle, size, device, cache } = options;
    this.#process = spawn(python, ['-m', 'bench.peer.serve', '--bundle', bundle, '--size', size, '--device', device], {
      cwd: root,
      env: {
        ...briefWaiting(process.env),
        ...process.env,
        PYTHONDONTWRITEBYTECODE: '1',
        TORCHINDUCTOR_CACHE_DIR: cache,
      },
    });
    this.#process.stderr.on('data', (text: Buffer) => (this.#complaints = (this.#complaints + text).slice(-4000)));
    this.#answers = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  describe(): Promise<PeerDescription> {
    return this.#ask({ op: 'describe' });
  }

  /** Measured inside the process; the first time also makes what is needed. */
  run(work: PeerSampling): Promise<Timing> {
    return this.#ask(this.#request(work));
  }

  /** What the sampler arrives at. */
  async latents(work: PeerSampling): Promise<Float32Array> {
    const { latents } = await this.#ask<{ latents: string }>({ ...this.#request(work), latents: true });
    return new Float32Array(new Uint8Array(Buffer.from(latents, 'base64')).buffer);
  }

  async close(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.stdin.end();
    await ended;
  }

  #request({ mode, depth, precision }: PeerSampling) {
    const { blocks, steps } = this.#options;
    return { op: 'sample', mode, layer: blocksBefore(depth, blocks) - 1, dtype: precision, steps, ...task };
  }

  async #ask<Answer>(request: Record<string, unknown>): Promise<Answer> {
    this.#process.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error(`The Python process ended:\n${this.#complaints}`);
    const answer = JSON.parse(value) as Answer & { error?: string };
    if (answer.error !== undefined) throw new Error(`Python, asked ${JSON.stringify(request)}: ${answer.error}`);
    return answer;
  }
}
