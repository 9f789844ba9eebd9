/** Our side: pipelines of the benchmark's model, one for each dtype, kept loaded. */
import {
  loadPipeline,
  memoryStatistics,
  resetPeakMemory,
  type ForwardOptions,
  type GenerateOptions,
  type Pipeline,
  type Tensor,
} from '../lib';
import { fusionKinds, native, type FusionKind } from '../lib/native';

import { quantizeOptions } from './quantised';
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

/** How a pipeline is loaded. */
type Loading = Pick<OwnSampling, 'precision' | 'unfused' | 'unrecorded' | 'offloaded' | 'quantized'>;

export class OwnSide {
  readonly #pipelines = new Map<string, Pipeline>();

  constructor(
    readonly folder: string,
    readonly device: string,
    readonly steps: number,
  ) {}

  async pipeline({ precision, unfused, unrecorded = false, offloaded = false, quantized }: Loading): Promise<Pipeline> {
    const key = [precision, unfused, unrecorded, offloaded, quantized].join();
    const known = this.#pipelines.get(key);
    if (known) return known;
    const fuse = unfused === undefined || (await this.#fusedWithout(unfused, precision));
    if (unrecorded) process.env.DETAIL_GUIDANCE_CUDA_GRAPHS = '0';
    const loaded = await loadPipeline(this.folder, {
      device: this.device,
      dtype: precision,
      fuse,
      ...(offloaded ? { offload: 'blocks' as const } : {}),
      ...(quantized ? { quantize: quantizeOptions(quantized, task.channels) } : {}),
    });
    if (unrecorded) delete process.env.DETAIL_GUIDANCE_CUDA_GRAPHS;
    this.#pipelines.set(key, loaded);
    return loaded;
  }

  /** The kinds that are fused by default, and the update on a GPU, without one. */
  async #fusedWithout(unfused: FusionKind, precision: Precision): Promise<FusionKind[]> {
    const { fused } = await this.pipeline({ precision });
    const present = new Set([...fused.map(({ kind }) => kind), ...(this.device === 'cpu' ? [] : ['update'])]);
    return fusionKinds.filter((kind) => present.has(kind) && kind !== unfused);
  }

  async run(work: OwnSampling | OwnForward): Promise<Timing> {
    const pipeline = await this.pipeline(work);
    if (this.device !== 'cpu') await resetPeakMemory(this.device);
    const timing = await this.#timed(work, pipeline);
    return { ...timing, peakBytes: (await memoryStatistics(this.device))?.peakAllocated ?? null };
  }

  #timed(work: OwnSampling | OwnForward, pipeline: Pipeline): Promise<Timing> {
    if (work.task === 'sample') return timed(() => this.#sample(work, pipeline));
    const inputs = forwardInputs(pipeline);
    const hooks = work.hooks ? pipeline.bundle.transformer.blocks.map(({ path }) => ({ ...idleHook, path })) : [];
    return timed(() => pipeline.forward(inputs, { hooks }));
  }

  /** What the sampler arrives at; of several pictures one after the other. */
  async latents(work: OwnSampling, pictures = 1): Promise<Float32Array> {
    const pipeline = await this.pipeline(work);
    const { latents, execution } =
      pictures === 1
        ? await this.#sample(work, pipeline)
        : await pipeline.generate({ ...this.#optionsOf(work, pipeline), numImages: pictures, batchSize: 1 });
    if (work.depth !== null && !execution.partialForward.shared) {
      throw new Error(`The model was not cut: ${execution.partialForward.reason}`);
    }
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
  async #sample(work: OwnSampling, pipeline: Pipeline) {
    const generate = this.#optionsOf(work, pipeline);
    if (!work.statistics) return pipeline.generate(generate);
    const run = pipeline.activations({ generate, branches: 'all' });
    for (;;) {
      const next = await run.next();
      if (next.done) return next.value;
    }
  }

  #optionsOf(work: OwnSampling, pipeline: Pipeline): GenerateOptions {
    const { depth, reuse, steps = this.steps, images = 1, scale } = work;
    const { seed, cfgScale, detailScale, channels } = task;
    const { latent, vae, transformer } = pipeline.bundle;
    const layer = depth === null ? null : blocksBefore(depth, pipeline.size.blocks) - 1;
    // In whole tokens.
    const patch = latent.height / transformer.tokenGrid[0];
    const pixels = scale && Math.round((latent.height * scale) / patch) * patch * (vae?.scale ?? 1);
    return {
      seed,
      ...conditioningOf(pipeline),
      ...(pixels === undefined ? {} : { width: pixels, height: pixels }),
      numImages: images,
      batchSize: images,
      numInferenceSteps: steps,
      guidance: {
        classifierFree: { scale: cfgScale },
        ...(layer === null ? {} : { detail: { scale: detailScale, layer, channels, retention: 0, reuse } }),
      },
    };
  }
}

/** At every block, seeing and changing nothing. */
const idleHook: Omit<NonNullable<ForwardOptions['hooks']>[number], 'path'> = {
  tap: 'output',
  capture: false,
  edits: [],
};

const waves = (shape: number[]): Tensor => ({
  data: Float32Array.from({ length: shape.reduce((all, size) => all * size, 1) }, (_, index) => Math.sin(index)),
  shape,
  dtype: 'float32',
});

/** The class, or for a model with text sines in place of the prompt and zeros for none, as bench/model.py has them. */
function conditioningOf({ bundle }: Pipeline): GenerateOptions {
  const inputs = conditioningShapes(bundle.transformer);
  if (inputs.length === 0) return { classLabel: task.classLabel };
  const zeros = (shape: number[]): Tensor => ({ ...waves(shape), data: new Float32Array(waves(shape).data.length) });
  return {
    conditioning: Object.fromEntries(inputs.map(([name, shape]) => [name, waves(shape)])),
    negativeConditioning: Object.fromEntries(inputs.map(([name, shape]) => [name, zeros(shape)])),
  };
}

const conditioningShapes = ({ inputs }: Pipeline['bundle']['transformer']): [name: string, shape: number[]][] =>
  inputs
    .filter(({ role }) => role === 'text' || role === 'pooled')
    .map(({ name, shape }) => [name, [1, ...shape.slice(1).map(Number)]]);

function forwardInputs({ bundle }: Pipeline): Record<string, Tensor> {
  const { channels, height, width } = bundle.latent;
  const conditioning = conditioningShapes(bundle.transformer).map(([name, shape]) => [name, waves(shape)] as const);
  const label: Tensor = { data: BigInt64Array.of(BigInt(task.classLabel)), shape: [1], dtype: 'int64' };
  return {
    sample: waves([1, channels, height, width]),
    timestep: { data: Float32Array.of(0.5), shape: [1], dtype: 'float32' },
    ...(conditioning.length > 0 ? Object.fromEntries(conditioning) : { labels: label }),
  };
}
