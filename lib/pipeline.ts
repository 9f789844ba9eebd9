/** The facade: a loaded model that makes pictures. */
import {
  dumpRecords,
  QuantisationCollector,
  recordSampling,
  type ActivationRecord,
  type DumpSummary,
  type QuantisationStatistics,
  type RecordedSampling,
} from './activations';
import { openBundle, type Bundle, type OpenBundle } from './bundle';
import { Components } from './model/components';
import type { WeightSize } from './model/torchScript';
import { memoryStatistics, resolveDevice, resolveDtype } from './model/device';
import { RunningCall } from './call/runningCall';
import { AbortError, wrapNative } from './validation/errors';
import { invalid } from './validation/invalid';
import { forwardInputs, tokenGridOf, zeroInputs } from './request/forwardInputs';
import { decodePictures, type DecodedPicture } from './call/decoding';
import { finishGeneration, nativePlan, type LoadedBundle } from './call/generation';
import { startingPictures } from './call/imageToImage';
import { abortsWith } from './model/abort';
import { freeMemory, refuseTooLarge } from './model/memory';
import {
  native,
  type FusedChains,
  type MemoryStatistics,
  type NativeModel,
  type NativeProgress,
  type QuantizationReport,
  type Site,
} from './native';
import {
  activationSchema,
  dumpSchema,
  quantisationSchema,
  type ActivationOptions,
  type ActivationRequest,
  type DumpOptions,
  type QuantisationOptions,
} from './activations/options';
import { forwardSchema, resolveHook, type ForwardOptions } from './request/forwardOptions';
import { generateSchema, type GenerateOptions, type GenerateRequest } from './request/generateOptions';
import { loadSchema, type LoadOptions } from './model/loadOptions';
import { quantisationOf } from './model/quantizeOptions';
import { parse } from './validation/parse';
import { editContext, explain, plan, type Plan, type PlannedModel, type PlanExplanation } from './plan';
import { stepEvent, type StepEvent } from './request/stepEvent';
import { chooseSeeds, type Seed } from './request/seeds';
import { checkPrompts, encodeRequest } from './call/prompts';
import { Queue } from './model/queue';
import type { GenerateResult } from './call/result';
import { streamSteps } from './call/steps';
import { pictureSize } from './request/pictureSize';
import { checkTensor, type Tensor } from './tensor';
import { nativeInputs, Transformer } from './model/transformer';

/** How large a model is. */
export interface ModelSize extends WeightSize {
  /** Blocks, over all containers. */
  blocks: number;
}

/** What a capturing hook saw at one site. */
export interface Capture extends Site {
  /** The hidden state that arrived there, [rows, tokens, channels]. */
  tensor: Tensor;
}

/** A plan, as `pipeline.plan` gives it. */
export interface ExplainedPlan extends Plan {
  /** What will be computed, in words and in numbers. Not enumerable: the plan stays plain data for who copies it. */
  explain(): PlanExplanation;
}

/** What `pipeline.forward` gives: the model's output, and what each capturing hook saw, in their order. */
export interface ForwardResult {
  /** What the model gives. */
  output: Tensor;
  /** One for each site that a capturing hook matched, in the order of the hooks; before any edit is made there. */
  captures: Capture[];
}

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

/**
 * Loads a model.
 *
 * @param location folder of a bundle, or `'embedded'` for the model that comes with this package
 * @throws BAD_OPTION, BUNDLE_NOT_FOUND, BUNDLE_INVALID, BUNDLE_CHECKSUM, BUNDLE_TOO_LARGE, MODEL_UNREADABLE,
 *   NOT_A_TRANSFORMER, OPERATOR_REFUSED, DEVICE_UNAVAILABLE, PRECISION_UNAVAILABLE, OUT_OF_MEMORY, ABORT_ERR, and what is
 *   wrong with the installation: ADDON_NOT_BUILT, LIBTORCH_NOT_FOUND, LIBTORCH_MISMATCH
 */
export async function loadPipeline(location: string, options: LoadOptions = {}): Promise<Pipeline> {
  const request = parse(loadSchema, options, 'options');
  const { dtype: wantedDtype, lowMemory, allowAllOperators, firstEvaluationLimit, fuse, quantize, signal } = request;
  if (signal?.aborted) throw new AbortError(signal.reason);
  try {
    const addon = native();
    const deviceOf = (part: keyof typeof request.devices) =>
      resolveDevice(request.devices[part] ?? request.device, addon);
    const devices = {
      textEncoders: deviceOf('textEncoders'),
      transformer: deviceOf('transformer'),
      vae: deviceOf('vae'),
    };
    const device = devices.transformer;
    const bundle = await openBundle(location, signal, (manifest) => {
      if (!request.checkMemory) return;
      const { dtype } = resolveDtype(wantedDtype, device, manifest.transformer);
      refuseTooLarge(manifest, dtype, devices, lowMemory, (place) => freeMemory(place, addon));
    });
    const { transformer: manifest } = bundle;
    const { dtype, reason: dtypeReason } = resolveDtype(wantedDtype, device, manifest);
    const quantise = await quantisationOf(quantize, bundle);
    const transformer = await Transformer.load(
      addon,
      {
        device,
        dtype,
        inputs: nativeInputs(manifest),
        blocks: manifest.blocks,
        outputChannels: manifest.outputChannels,
        allowAllOperators,
        firstEvaluationLimit,
        ...(fuse === true ? {} : { fuse: fuse === false ? [] : fuse }),
        ...(quantise ? { quantise } : {}),
      },
      () => bundle.sealed(manifest.file),
      lowMemory,
      signal,
    );
    try {
      const components = await Components.load(bundle, { dtype, devices, lowMemory, allowAllOperators }, signal);
      const pipeline = create({ transformer, components }, { bundle, device, dtype, dtypeReason, quantize, addon });
      if (!signal?.aborted) return pipeline;
      await pipeline.dispose();
    } catch (error) {
      await transformer.dispose();
      throw error;
    }
  } catch (error) {
    if (!signal?.aborted) throw wrapNative(error);
  }
  throw new AbortError(signal.reason);
}

/** Makes one of its parts; users do so with `loadPipeline`. */
let create: (parts: Parts, loaded: LoadedBundle) => Pipeline;

/** A loaded model, from `loadPipeline`. Calls run one after the other, in the order they were made, and share nothing. */
export class Pipeline {
  static {
    create = (parts, loaded) => new Pipeline(parts, loaded);
  }

  readonly #parts: Parts;
  readonly #loaded: LoadedBundle;
  readonly #queue = new Queue();
  readonly #description: ReturnType<NativeModel['describe']>;
  #fused: readonly FusedChains[];
  readonly #ended = new AbortController();
  #disposing: Promise<void> | null = null;

  private constructor(parts: Parts, loaded: LoadedBundle) {
    this.#parts = parts;
    this.#loaded = loaded;
    this.#description = parts.transformer.description;
    this.#fused = this.#description.fused;
    abandoned.register(this, parts, this);
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

  /** Linear layers with 8 bit weights and activations; null where `loadPipeline` was not told to `quantize`. */
  get quantized(): QuantizationReport | null {
    return this.#description.quantized;
  }

  /** Memory of the device in bytes, of all pipelines of this process; null on the CPU (`process.memoryUsage().rss`). */
  memory(): Promise<MemoryStatistics | null> {
    return memoryStatistics(this.device);
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

  /** What `generate` would do with these options, as plain data, without running the model. @throws what it throws for them */
  plan(options: GenerateOptions = {}): ExplainedPlan {
    this.#refuseDisposed();
    const planned = this.#plan(parse(generateSchema, options, 'options'));
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
    return this.#enter((during) => this.#generate(request, planned, during), request.signal);
  }

  async #generate(request: GenerateRequest, planned: Plan, during: RunningCall): Promise<GenerateResult> {
    const bundle = this.#bundle;
    const { components } = this.#parts;
    const { onStep, onProgress, onWarning, signal } = request;
    const callbacks = {
      onProgress: onProgress && during.guard(onProgress),
      onWarning: onWarning && during.guard(onWarning),
    };
    const watched: GenerateRequest = { ...request, ...callbacks };
    const seeds = chooseSeeds(request.seed, planned.images);
    const { encoded, prepared } = await this.#prepare(watched, planned, seeds);
    const total = planned.images * planned.steps.length;
    await callbacks.onProgress?.({ phase: 'sampling', done: 0, total });
    during.check();
    const report = during.guard(async (progress: NativeProgress) => {
      const event = stepEvent(progress, planned, await this.#preview(progress, signal));
      await onStep?.(event);
      await onProgress?.({ phase: 'sampling', done: Math.round(event.fraction * total), total });
    });
    const sampled = await during.sample(prepared, onStep || onProgress ? report : undefined);
    this.#fused = sampled.execution.fused;
    const tell = async (done: number) => {
      if (bundle.vae) await callbacks.onProgress?.({ phase: 'decoding', done, total: planned.images });
      during.check();
    };
    await tell(0);
    const decoded = await decodePictures(sampled.latents, bundle, components, {
      tiling: request.vaeTiling,
      onWarning: callbacks.onWarning,
      signal,
      onDecoded: tell,
    });
    return finishGeneration(sampled, decoded, planned, encoded, seeds, this.#loaded);
  }

  /** The pictures of a step's estimate, where it is asked for. */
  async #preview({ preview }: NativeProgress, signal: AbortSignal | undefined): Promise<DecodedPicture[] | undefined> {
    return preview && decodePictures(preview, this.#bundle, this.#parts.components, { signal });
  }

  /**
   * Makes pictures as `generate` does, as an async iterator of steps; its return value is what `generate` gives. The call
   * begins with the first step that is asked for and waits after each one until the next is asked for, unless another call
   * of this pipeline waits for it. Leaving the loop ends it.
   *
   * @throws while it is read what `generate` throws
   */
  stream(options: GenerateOptions = {}): AsyncGenerator<StepEvent, GenerateResult, undefined> {
    return streamSteps((onStep, left) => {
      const { controller, stop } = abortsWith([options.signal, left]);
      const told = async (event: StepEvent) => {
        await options.onStep?.(event);
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
    const { channels, frames } = this.#bundle.latent;
    const free = frames === undefined ? [null, null] : [null, null, null];
    checkTensor(latents, { name: 'latents', dtype: ['float32'], shape: [null, channels, ...free] });
    const size = pictureSize({ latents }, this.#bundle);
    checkTensor(latents, { name: 'latents', shape: [null, ...size.latent] });
    return this.#enter(() => decodePictures(latents, this.#bundle, this.#parts.components, { signal }), signal);
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
      const { conditioning } = await encodeRequest(request, planned, this.#bundle, this.#parts.components);
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
    return this.#enter(async (during) => {
      const result = await during.run((model) => model.forward(ordered, complete));
      // Read while no other call of this pipeline can change it.
      this.#fused = this.#parts.transformer.loaded?.describe().fused ?? this.#fused;
      return result;
    }, signal);
  }

  /** Shape of the hidden state at each of `sites`, by one run on zeros, a batch of 1; null for one that is not reached. */
  async shapes(signal?: AbortSignal): Promise<(number[] | null)[]> {
    this.#refuseDisposed();
    return this.#enter((during) => during.run((model) => model.shapes(zeroInputs(this.#bundle))), signal);
  }

  /** Ends what runs, frees the model, then settles; so does a second call. Calls that were waiting reject with DISPOSED. */
  dispose(): Promise<void> {
    if (!this.#disposing) {
      abandoned.unregister(this);
      const { transformer, components } = this.#parts;
      this.#ended.abort();
      this.#disposing = Promise.all([transformer.dispose(), components.dispose()]).then(() => undefined);
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
    const { generate } = request;
    const planned = this.#plan(generate);
    const seeds = chooseSeeds(generate.seed, planned.images);
    const model = this.#parts.transformer.loaded;
    if (!model) {
      throw invalid('This pipeline', 'one without lowMemory', 'lowMemory', {
        note: 'activations are read of a transformer that stays in memory',
      });
    }
    // What does not wait for the text encoders or the VAE is checked at once.
    const ready =
      generate.prompt === undefined && generate.image === undefined
        ? nativePlan(planned, generate, seeds, this.#loaded)
        : null;
    return recordSampling(request, {
      model,
      sites: this.sites,
      context: editContext(this.#planned, planned.size.tokenGrid),
      plan: planned,
      seeds,
      queue: this.#queue,
      pictures: (sampled) =>
        this.#enter(async () => {
          const decoded = await decodePictures(sampled.latents, this.#bundle, this.#parts.components);
          return finishGeneration(sampled, decoded, planned, generate, seeds, this.#loaded).images;
        }, undefined),
      run: (recording, onRecords, signal) =>
        this.#enter(async (during) => {
          const prepared = ready ?? (await this.#prepare({ ...generate, signal }, planned, seeds)).prepared;
          const { onStep } = generate;
          const report =
            onStep &&
            during.guard(async (progress: NativeProgress) =>
              onStep(stepEvent(progress, planned, await this.#preview(progress, signal))),
            );
          return during.sample({ ...prepared, recording }, report, onRecords);
        }, signal),
    });
  }

  /** Prompts and pictures become tensors; the transformer is not needed for it. */
  async #prepare(request: GenerateRequest, planned: Plan, seeds: Seed[]) {
    const { components } = this.#parts;
    const encoded = await encodeRequest(request, planned, this.#bundle, components);
    const pictures = await startingPictures(request, planned, seeds, this.#loaded, components);
    return { encoded, prepared: nativePlan(planned, encoded, seeds, this.#loaded, pictures) };
  }

  /** Waits its turn, runs, and settles after the native side has unwound. */
  #enter<Result>(job: (during: RunningCall) => Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
    return this.#queue.enter(async () => {
      this.#refuseDisposed();
      const during = new RunningCall(this.#parts.transformer, signal, this.#ended.signal);
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
