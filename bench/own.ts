/** Our side: pipelines of the benchmark's model, one for each dtype, kept loaded. */
import { loadPipeline, type ForwardOptions, type GenerateOptions, type Pipeline, type Tensor } from '../lib';
import { native, type NativeSharing } from '../lib/native';

import { blocksBefore } from './statistics';
import type { OwnForward, OwnSampling, Precision } from './comparisons';
import { timed, type Timing } from './turns';

/** What both sides compute: one image by CFG + DG, flow-matching Euler. */
export interface Task {
  steps: number;
  seed: number;
  classLabel: number;
  cfgScale: number;
  detailScale: number;
  channels: number[];
}

export const task: Omit<Task, 'steps'> = {
  seed: 7,
  classLabel: 3,
  cfgScale: 3,
  detailScale: 0.5,
  channels: [5, 17],
};

export class OwnSide {
  readonly #pipelines = new Map<Precision, Pipeline>();

  constructor(
    readonly folder: string,
    readonly device: string,
    readonly steps: number,
  ) {}

  async pipeline(precision: Precision): Promise<Pipeline> {
    const loaded =
      this.#pipelines.get(precision) ?? (await loadPipeline(this.folder, { device: this.device, dtype: precision }));
    this.#pipelines.set(precision, loaded);
    return loaded;
  }

  async run(work: OwnSampling | OwnForward): Promise<Timing> {
    const pipeline = await this.pipeline(work.precision);
    if (work.task === 'sample') return timed(() => this.#sample(work, pipeline));
    const inputs = forwardInputs(pipeline);
    const hooks = work.hooks ? [idleHook] : [];
    return timed(() => pipeline.forward(inputs, { hooks }));
  }

  /** What the sampler arrives at. */
  async latents(work: OwnSampling): Promise<Float32Array> {
    const pipeline = await this.pipeline(work.precision);
    const { latents, sharing } = await this.#sample(work, pipeline);
    if (work.depth !== null && !sharing.shared) throw new Error(`The model was not cut: ${sharing.reason}`);
    return latents.data as Float32Array;
  }

  threads(): number {
    return native().info().threads;
  }

  async close(): Promise<void> {
    for (const pipeline of this.#pipelines.values()) await pipeline.dispose();
    this.#pipelines.clear();
  }

  /** One image; its statistics are read as they come. */
  async #sample(work: OwnSampling, pipeline: Pipeline): Promise<{ latents: Tensor; sharing: NativeSharing }> {
    const generate = this.#optionsOf(work, pipeline);
    if (!work.statistics) return pipeline.generate(generate);
    const run = pipeline.activations({ generate, branches: 'all' });
    for (;;) {
      const next = await run.next();
      if (next.done) return next.value;
    }
  }

  #optionsOf({ depth, reuse, steps = this.steps }: OwnSampling, pipeline: Pipeline): GenerateOptions {
    const { seed, classLabel, cfgScale, detailScale, channels } = task;
    const layer = depth === null ? null : blocksBefore(depth, pipeline.size.blocks) - 1;
    return {
      seed,
      classLabel,
      numInferenceSteps: steps,
      guidance: {
        classifierFree: { scale: cfgScale },
        ...(layer === null ? {} : { detail: { scale: detailScale, layer, channels, retention: 0, reuse } }),
      },
    };
  }
}

/** At every block, seeing and changing nothing. */
const idleHook: NonNullable<ForwardOptions['hooks']>[number] = {
  path: 'blocks.*',
  tap: 'output',
  capture: false,
  edits: [],
};

function forwardInputs(pipeline: Pipeline): Record<string, Tensor> {
  const { channels, height, width } = pipeline.bundle.latent;
  const size = channels * height * width;
  return {
    sample: {
      data: Float32Array.from({ length: size }, (_, index) => Math.sin(index)),
      shape: [1, channels, height, width],
      dtype: 'float32',
    },
    timestep: { data: Float32Array.of(0.5), shape: [1], dtype: 'float32' },
    class: { data: BigInt64Array.of(BigInt(task.classLabel)), shape: [1], dtype: 'int64' },
  };
}
