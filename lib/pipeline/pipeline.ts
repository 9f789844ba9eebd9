/** A loaded model that makes pictures: its calls, each of which is checked, waits its turn and runs. */
import {
  dumpRecords,
  QuantisationCollector,
  type ActivationRecord,
  type DumpSummary,
  type QuantisationStatistics,
  type RecordedSampling,
} from '../activations';
import {
  activationSchema,
  dumpSchema,
  quantisationSchema,
  type ActivationOptions,
  type ActivationRequest,
  type DumpOptions,
  type QuantisationOptions,
} from '../activations/options';
import type { Bundle, OpenBundle } from '../bundle';
import { decodePictures, type DecodedPicture } from '../call/decoding';
import { checkGiven } from '../call/generation';
import { generatePictures, type LoadedModel } from '../call/generate';
import { checkPrompts, encodeRequest } from '../call/prompts';
import type { GenerateResult } from '../call/result';
import { RunningCall } from '../call/runningCall';
import { streamSteps } from '../call/steps';
import { abortsWith, checkSignal } from '../model/abort';
import type { Components } from '../model/components';
import { memoryStatistics } from '../model/device';
import {
  expectedMemory,
  expectedMemorySchema,
  type ExpectedMemory,
  type ExpectedMemoryOptions,
  type MemorySettings,
} from '../model/expectedMemory';
import { Queue } from '../model/queue';
import type { Transformer } from '../model/transformer';
import type { FusedChains, MemoryStatistics, NativeModel, QuantizationReport, Site } from '../native';
import { editContext, explain, plan, type Plan, type PlannedModel } from '../plan';
import { forwardInputs, tokenGridOf, zeroInputs } from '../request/forwardInputs';
import { forwardSchema, resolveHook, type ForwardOptions } from '../request/forwardOptions';
import { generateSchema, type GenerateOptions, type GenerateRequest } from '../request/generateOptions';
import { pictureSize } from '../request/pictureSize';
import type { StepEvent } from '../request/stepEvent';
import { checkTensor, type Tensor } from '../tensor';
import { wrapNative } from '../validation/errors';
import { invalid } from '../validation/invalid';
import { parse } from '../validation/parse';

import { recordRun } from './record';
import type { ExplainedPlan, ForwardResult, ModelSize } from './results';

/** What a pipeline computes with. */
interface Parts {
  transformer: Transformer;
  components: Components;
}

/** Frees the models of a pipeline that was dropped without `dispose()`. */
const abandoned = new FinalizationRegistry<Parts>(({ transformer, components }) => {
  transformer.dispose().catch(() => undefined);
  components.dispose().catch(() => undefined);
});

/** Makes one of what was loaded; users do so with `loadPipeline`. */
export let createPipeline: (transformer: Transformer, loaded: LoadedModel) => Pipeline;

/** A loaded model, from `loadPipeline`. Calls run one after the other, in the order they were made, and share nothing. */
export class Pipeline {
  static {
    createPipeline = (transformer, loaded) => new Pipeline(transformer, loaded);
  }

  readonly #transformer: Transformer;
  readonly #loaded: LoadedModel;
  readonly #queue = new Queue();
  readonly #description: ReturnType<NativeModel['describe']>;
  #fused: readonly FusedChains[];
  readonly #ended = new AbortController();
  #disposing: Promise<void> | null = null;

  private constructor(transformer: Transformer, loaded: LoadedModel) {
    this.#transformer = transformer;
    this.#loaded = loaded;
    this.#description = transformer.description;
    this.#fused = this.#description.fused;
    abandoned.register(this, { transformer, components: loaded.components }, this);
  }

  /** What `bundle.json` says, and where its folder is. */
  get bundle(): Bundle {
    return this.#loaded.bundle;
  }

  /** 'cpu' or 'cuda:N'. */
  get device(): string {
    return this.#loaded.device;
  }

  /** Of weights and activations. */
  get dtype(): string {
    return this.#loaded.dtype;
  }

  /** What `dtype: 'auto'` went by, as a sentence; null when the dtype was asked for by name. */
  get dtypeReason(): string | null {
    return this.#loaded.dtypeReason;
  }

  /** Every place where a hidden state can be captured or edited, in order of evaluation. */
  get sites(): readonly Site[] {
    return this.#description.sites;
  }

  /** Chains of operators that run as one, by kind; after the first run those that are exact (see `execution.notFused`). */
  get fused(): readonly FusedChains[] {
    return this.#fused;
  }

  /** Linear layers with 8 bit weights, and how they are computed; null where `loadPipeline` was not told to `quantize`. */
  get quantized(): QuantizationReport | null {
    return this.#description.quantized;
  }

  /** Memory of the device in bytes, of all pipelines of this process; null on the CPU (`process.memoryUsage().rss`). */
  memory(): Promise<MemoryStatistics | null> {
    return memoryStatistics(this.device);
  }

  /**
   * Bytes that sampling is expected to take, by part: of this model as it is loaded, or as it would be in another dtype,
   * quantised, or with `offload`. An estimate from the shapes; nothing is loaded and nothing runs.
   *
   * @throws BAD_OPTION, also for a size that the model cannot make
   */
  expectedMemory(options: ExpectedMemoryOptions = {}): ExpectedMemory {
    const { rows, width, height, numFrames, ...settings } = parse(expectedMemorySchema, options, 'options');
    const size = pictureSize({ width, height, numFrames }, this.#bundle);
    const { quantize, memory, dtype } = this.#loaded;
    return expectedMemory(this.#bundle, this.#description.weights, size, rows, {
      ...{ dtype: dtype as MemorySettings['dtype'], quantize: quantize === undefined ? null : 'int8', ...memory },
      ...settings,
    });
  }

  /** How many calls have been made that wait for their turn. */
  get waiting(): number {
    return this.#queue.waiting;
  }

  /** Parameters and their bytes in memory; number of blocks. */
  get size(): ModelSize {
    const { parameters, bytes, blocks } = this.#description;
    return { parameters, bytes, blocks };
  }

  /**
   * What `generate` would do with these options, as plain data, without running the model; `conditioning` may be missing.
   *
   * @throws what it throws for them
   */
  plan(options: GenerateOptions = {}): ExplainedPlan {
    this.#refuseDisposed();
    const request = parse(generateSchema, options, 'options');
    const planned = this.#plan(request);
    checkGiven(planned, request, this.#bundle);
    return Object.defineProperty(planned, 'explain', { value: () => explain(planned) }) as ExplainedPlan;
  }

  /**
   * Makes pictures. The same seed gives the same bytes on the same machine and build, whatever `numImages` is, as long
   * as `batchSize` is 1.
   *
   * @throws BAD_OPTION, BAD_TENSOR, CLASS_OUT_OF_RANGE, LAYER_OUT_OF_RANGE, CHANNEL_OUT_OF_RANGE, TOKEN_OUT_OF_RANGE,
   *   SITE_NOT_FOUND before anything is computed; ABORT_ERR, MODEL_FAILED, OUT_OF_MEMORY, DISPOSED; what a callback threw,
   *   or what its promise rejected with
   */
  async generate(options: GenerateOptions = {}): Promise<GenerateResult> {
    this.#refuseDisposed();
    const request = parse(generateSchema, options, 'options');
    const planned = this.#plan(request);
    return this.#enter((during) => generatePictures(request, planned, during, this.#loaded), request.signal);
  }

  /**
   * Makes pictures as `generate` does, as an async iterator of steps; its return value is what `generate` gives. The call
   * begins with the first step that is asked for and waits after each one until the next is asked for, unless another call
   * of this pipeline waits for it. Leaving the loop ends it.
   *
   * @throws while it is read what `generate` throws
   */
  stream(options: GenerateOptions = {}): AsyncGenerator<StepEvent, GenerateResult, undefined> {
    return streamSteps(async (onStep, left) => {
      const { onStep: theirs, signal } = parse(generateSchema, options, 'options');
      const { controller, stop } = abortsWith([signal, left]);
      const told = async (event: StepEvent) => {
        await theirs?.(event);
        await onStep(event);
      };
      return this.generate({ ...options, onStep: told, signal: controller.signal }).finally(stop);
    }, this.#queue);
  }

  /**
   * The pictures of latents, as `generate` makes them of those that it arrives at.
   *
   * @param latents float32 [images, channels, height, width] in latent cells; of video
   *   [images, channels, frames, height, width]
   * @throws BAD_TENSOR for another shape or dtype; BAD_OPTION for a size that the model cannot make; MODEL_FAILED,
   *   OUT_OF_MEMORY, ABORT_ERR, DISPOSED
   */
  async decode(latents: Tensor, signal?: AbortSignal): Promise<DecodedPicture[]> {
    this.#refuseDisposed();
    checkSignal(signal);
    const { channels, frames } = this.#bundle.latent;
    const free = frames === undefined ? [null, null] : [null, null, null];
    checkTensor(latents, { name: 'latents', dtype: ['float32'], shape: [null, channels, ...free] });
    const size = pictureSize({ latents }, this.#bundle);
    checkTensor(latents, { name: 'latents', shape: [null, ...size.latent] });
    return this.#enter(() => decodePictures(latents, this.#bundle, this.#loaded.components, { signal }), signal);
  }

  /**
   * What the text encoders make of a prompt: the tensors of the model's inputs that depend on it, as `conditioning` takes
   * them.
   *
   * @param options `maxSequenceLength` as in `generate`
   * @throws BAD_OPTION for a model without text encoders; OUT_OF_MEMORY, ABORT_ERR, DISPOSED
   */
  async encodePrompt(
    prompt: string,
    options: Pick<GenerateOptions, 'maxSequenceLength' | 'signal'> = {},
  ): Promise<Record<string, Tensor>> {
    this.#refuseDisposed();
    const request = parse(generateSchema, { ...options, prompt, guidance: {} }, 'options');
    const { signal } = request;
    const planned = this.#plan(request);
    return this.#enter(async () => {
      const { conditioning } = await encodeRequest(request, planned, this.#bundle, this.#loaded.components);
      return conditioning ?? {};
    }, signal);
  }

  /**
   * The hidden states of a sampling run, one record for each site, branch, image and step, while the run goes on: it
   * begins with the first record that is asked for, and waits when they are not read. Leaving the loop ends it. Other
   * calls of this pipeline wait until it has ended. When nothing is read and one of them waits, as when it is awaited
   * inside the loop, the run goes on and its records go to a temporary file until they are read.
   *
   * A hidden state that is edited is the one that leaves the site (`beforeEdits`: that arrives there).
   *
   * @returns an async iterator; its return value is what the run arrived at
   * @throws at once what `generate` throws for its options, and SITE_NOT_FOUND, BAD_OPTION; while it is read ABORT_ERR,
   *   MODEL_FAILED, BAD_TENSOR for a site that has no hidden state, OUT_OF_MEMORY, OUTPUT_UNWRITABLE when the temporary
   *   file does not fit on the disk, DISPOSED
   */
  activations(options: ActivationOptions = {}): AsyncGenerator<ActivationRecord, RecordedSampling, undefined> {
    this.#refuseDisposed();
    return this.#record(parse(activationSchema, options, 'options'));
  }

  /**
   * The same into a folder, while the run goes on: safetensors files of at most `shardBytes` and an index.json that is
   * valid after each of them. A run that is aborted or fails leaves a valid, shorter dump. NaN and infinities are
   * written as they are and counted in the summary; they end nothing.
   *
   * @throws what `activations` throws; OUTPUT_EXISTS when `out` is there already; OUTPUT_UNWRITABLE, as for a disk that
   *   is full, with how much of the dump is there; what `onRecord` threw
   */
  async dumpActivations(options: DumpOptions): Promise<DumpSummary> {
    this.#refuseDisposed();
    const request = parse(dumpSchema, options, 'options');
    return dumpRecords(this.#record(request), request, this.#plan(request.generate), this.#loaded);
  }

  /** Ranges of the hidden states for a quantiser by layer, timestep and channel; plain JSON. @throws as `activations` */
  async quantisationStatistics(options: QuantisationOptions = {}): Promise<QuantisationStatistics> {
    this.#refuseDisposed();
    const { percentiles, ...request } = parse(quantisationSchema, options, 'options');
    const collector = new QuantisationCollector(percentiles);
    const recorded: ActivationOptions = { ...request, statistics: { percentiles } };
    for await (const record of this.#record(parse(activationSchema, recorded, 'options'))) collector.add(record);
    return collector.result();
  }

  /**
   * Runs the transformer once, with hooks: the plain instrument. Hooks are those of this call alone.
   *
   * @param inputs tensors by input name, in the shapes that `bundle.transformer.inputs` gives
   * @throws BAD_OPTION for a missing or unknown input; BAD_TENSOR, SITE_NOT_FOUND, LAYER_OUT_OF_RANGE,
   *   CHANNEL_OUT_OF_RANGE, TOKEN_OUT_OF_RANGE, MODEL_FAILED, ABORT_ERR, DISPOSED
   */
  async forward(inputs: Record<string, Tensor>, options: ForwardOptions = {}): Promise<ForwardResult> {
    this.#refuseDisposed();
    const { hooks, signal } = parse(forwardSchema, options, 'options');
    const ordered = forwardInputs(inputs, this.#bundle);
    const context = editContext(this.#planned, tokenGridOf(ordered, this.#bundle));
    const complete = hooks.flatMap((hook, index) => resolveHook(`options.hooks[${index}]`, hook, context));
    return this.#enter((during) => during.run((model) => model.forward(ordered, complete)), signal);
  }

  /** Shape of the hidden state at each of `sites`, by one run on zeros, a batch of 1; null for one that is not reached. */
  async shapes(signal?: AbortSignal): Promise<(number[] | null)[]> {
    this.#refuseDisposed();
    checkSignal(signal);
    return this.#enter((during) => during.run((model) => model.shapes(zeroInputs(this.#bundle))), signal);
  }

  /** Ends what runs, frees the model, then settles; so does a second call. Calls that were waiting reject with DISPOSED. */
  dispose(): Promise<void> {
    if (!this.#disposing) {
      abandoned.unregister(this);
      this.#ended.abort();
      this.#disposing = Promise.all([this.#transformer.dispose(), this.#loaded.components.dispose()]).then(
        () => undefined,
      );
    }
    return this.#disposing;
  }

  /** For `await using pipeline = await loadPipeline(…)`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #plan(request: GenerateRequest): Plan {
    checkPrompts(request, this.#bundle);
    return plan(request, this.#planned);
  }

  get #bundle(): OpenBundle {
    return this.#loaded.bundle;
  }

  /** What a plan is made from. */
  get #planned(): PlannedModel {
    const { sites, blocks } = this.#description;
    return { bundle: this.#bundle, sites, layers: blocks, ranking: this.#bundle.ranking };
  }

  #record(request: ActivationRequest): AsyncGenerator<ActivationRecord, RecordedSampling, undefined> {
    return recordRun(request, this.#plan(request.generate), {
      model: this.#loaded,
      transformer: this.#transformer.loaded,
      sites: this.sites,
      planned: this.#planned,
      queue: this.#queue,
      enter: (job, signal) => this.#enter(job, signal),
    });
  }

  /** Waits its turn, runs, and settles after the native side has unwound. */
  #enter<Result>(job: (during: RunningCall) => Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
    return this.#queue.enter(async () => {
      this.#refuseDisposed();
      const during = new RunningCall(this.#transformer, signal, this.#ended.signal);
      try {
        const result = await job(during);
        during.check();
        // Also where a callback that was waited for was given up.
        this.#refuseDisposed();
        return result;
      } catch (error) {
        during.check();
        this.#refuseDisposed();
        throw wrapNative(error);
      } finally {
        this.#fused = during.fused ?? this.#fused;
      }
    }, signal);
  }

  #refuseDisposed(): void {
    if (!this.#disposing) return;
    throw invalid('This pipeline', 'one that is loaded', undefined, {
      code: 'DISPOSED',
      shown: 'one that has been disposed of',
    });
  }
}
