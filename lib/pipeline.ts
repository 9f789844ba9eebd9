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
import { openBundle, type Bundle } from './bundle';
import { resolveDevice, resolveDtype } from './device';
import { AbortError, DetailGuidanceError, wrapNative } from './errors';
import { forwardInputs, zeroInputs } from './forward';
import { chooseSeeds, finishGeneration, nativePlan, type Maker } from './generation';
import { native, type NativeModel, type NativeProgress, type NativeRun, type NativeSite } from './native';
import {
  activationSchema,
  dumpSchema,
  quantisationSchema,
  type ActivationOptions,
  type ActivationRequest,
  type DumpOptions,
  type QuantisationOptions,
} from './options/activations';
import { completeHook, forwardSchema, type ForwardOptions } from './options/forward';
import { generateSchema, type GenerateOptions, type GenerateRequest } from './options/generate';
import { loadSchema, type LoadOptions } from './options/load';
import { parse } from './options/parse';
import { explain, plan, type Plan, type PlanExplanation } from './plan';
import { stepEvent } from './progress';
import { Queue } from './queue';
import type { GenerateResult } from './result';
import type { Tensor } from './tensor';

/** What `pipeline.forward` gives: the model's output, and what each capturing hook saw, in their order. */
export interface ForwardResult {
  output: Tensor;
  /** One for each site that a capturing hook matched, in the order of the hooks; before any edit is made there. */
  captures: (NativeSite & { tensor: Tensor })[];
}

/** Frees the model of a pipeline that was dropped without `dispose()`. */
const abandoned = new FinalizationRegistry<NativeModel>((model) => {
  model.dispose().catch(() => undefined);
});

/**
 * Loads a model.
 *
 * @param location folder of a bundle, or `'embedded'` for the model that comes with this package
 * @throws BAD_OPTION, BUNDLE_NOT_FOUND, BUNDLE_INVALID, BUNDLE_CHECKSUM, DEVICE_UNAVAILABLE, MODEL_UNREADABLE,
 *   NOT_A_TRANSFORMER, OPERATOR_REFUSED, OUT_OF_MEMORY, ABORT_ERR, and what is wrong with the installation:
 *   ADDON_NOT_BUILT, LIBTORCH_NOT_FOUND, LIBTORCH_MISMATCH
 */
export async function loadPipeline(location: string, options: LoadOptions = {}): Promise<Pipeline> {
  const { device: wanted, dtype: wantedDtype, allowAllOperators, signal } = parse(loadSchema, options, 'options');
  if (signal?.aborted) throw new AbortError(signal.reason);
  const bundle = await openBundle(location, signal);
  try {
    const addon = native();
    const device = resolveDevice(wanted, addon);
    const { transformer } = bundle;
    const { dtype, reason: dtypeReason } = resolveDtype(wantedDtype, device, transformer);
    const model = await addon.load({
      file: bundle.path(transformer.file),
      device,
      dtype,
      inputs: transformer.inputs.map(({ name, role, dtype: inputDtype, shape }) => ({
        name,
        role,
        dtype: inputDtype,
        batched: shape[0] === 'batch',
      })),
      blocks: transformer.blocks,
      outputChannels: transformer.outputChannels,
      allowAllOperators,
    });
    if (!signal?.aborted) return new Pipeline(model, { bundle, device, dtype, dtypeReason, addon });
    await model.dispose();
  } catch (error) {
    throw wrapNative(error);
  }
  throw new AbortError(signal.reason);
}

/** A loaded model. Calls run one after the other, in the order in which they were made, and never see each other's. */
export class Pipeline {
  readonly #model: NativeModel;
  readonly #maker: Maker;
  readonly #queue = new Queue();
  readonly #description: ReturnType<NativeModel['describe']>;
  #disposing: Promise<void> | null = null;

  /** Use {@link loadPipeline}. */
  constructor(model: NativeModel, maker: Maker) {
    this.#model = model;
    this.#maker = maker;
    this.#description = model.describe();
    abandoned.register(this, model, this);
  }

  /** What `bundle.json` says, and where its folder is. */
  get bundle(): Bundle {
    return this.#maker.bundle;
  }

  /** 'cpu' or 'cuda:N'. */
  get device(): string {
    return this.#maker.device;
  }

  /** Of weights and activations. */
  get dtype(): string {
    return this.#maker.dtype;
  }

  /** What `dtype: 'auto'` went by, as a sentence; null when the dtype was asked for by name. */
  get dtypeReason(): string | null {
    return this.#maker.dtypeReason;
  }

  /** Every place where a hidden state can be captured or edited, in order of evaluation. */
  get sites(): readonly NativeSite[] {
    return this.#description.sites;
  }

  /** Parameters and their bytes in memory; number of blocks. */
  get size(): { parameters: number; bytes: number; blocks: number } {
    const { parameters, bytes, blocks } = this.#description;
    return { parameters, bytes, blocks };
  }

  /**
   * What `generate` would do with these options, as plain data, without running the model.
   *
   * @throws what `generate` throws for its options
   */
  plan(options: GenerateOptions = {}): Plan & { explain(): PlanExplanation } {
    this.#refuseDisposed();
    const planned = this.#plan(parse(generateSchema, options, 'options'));
    // Not enumerable: the plan stays plain data for whoever copies or prints it.
    return Object.defineProperty(planned, 'explain', { value: () => explain(planned) }) as Plan & {
      explain(): PlanExplanation;
    };
  }

  /**
   * Makes pictures. The same seed gives the same bytes on the same machine and build, whatever `numImages` is, as long
   * as `batchSize` is 1.
   *
   * @throws BAD_OPTION, BAD_TENSOR, CLASS_OUT_OF_RANGE, LAYER_OUT_OF_RANGE, CHANNEL_OUT_OF_RANGE, TOKEN_OUT_OF_RANGE,
   *   SITE_NOT_FOUND before anything is computed; ABORT_ERR, MODEL_FAILED, OUT_OF_MEMORY, DISPOSED; what `onStep` threw
   */
  async generate(options: GenerateOptions = {}): Promise<GenerateResult> {
    this.#refuseDisposed();
    const request = parse(generateSchema, options, 'options');
    const { signal, onStep } = request;
    const planned = this.#plan(request);
    const seeds = chooseSeeds(request.seed, planned.images);
    const prepared = nativePlan(planned, request, seeds, this.#maker);
    let thrown: { error: unknown } | null = null;
    const sampled = await this.#run(
      () => {
        const run = this.#model.sample(prepared, onStep && ((progress) => report(progress)));
        const report = (progress: NativeProgress) => {
          // Calls that were under way when the run was cancelled may still arrive.
          if (thrown || signal?.aborted) return;
          try {
            onStep?.(stepEvent(progress, planned));
          } catch (error) {
            thrown = { error };
            run.cancel();
          }
        };
        return run;
      },
      signal,
      () => thrown,
    );
    return finishGeneration(sampled, planned, request, seeds, this.#maker);
  }

  /**
   * The hidden states of a sampling run, one record for each site, branch, image and step, while the run goes on: it
   * begins with the first record that is asked for, and waits when they are not read. Leaving the loop ends it. Other
   * calls of this pipeline wait until it has ended: one that is awaited inside the loop would wait forever.
   *
   * A hidden state that is edited is the one that leaves the site (`beforeEdits`: that arrives there).
   *
   * @returns an async iterator; its return value is what the run arrived at
   * @throws at once what `generate` throws for its options, and SITE_NOT_FOUND, BAD_OPTION; while it is read ABORT_ERR,
   *   MODEL_FAILED, BAD_TENSOR for a site that has no hidden state, OUT_OF_MEMORY, DISPOSED
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
    return dumpRecords(this.#record(request), request, this.#plan(request.generate), this.#maker);
  }

  /**
   * Ranges of the hidden states for a quantiser: per layer, timestep and channel the absolute maximum, the maximum so
   * far and percentiles. Plain data, made for JSON.
   *
   * @throws what `activations` throws
   */
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
   * @throws BAD_OPTION for a missing or unknown input; BAD_TENSOR, SITE_NOT_FOUND, CHANNEL_OUT_OF_RANGE,
   *   TOKEN_OUT_OF_RANGE, MODEL_FAILED, ABORT_ERR, DISPOSED
   */
  async forward(inputs: Record<string, Tensor>, options: ForwardOptions = {}): Promise<ForwardResult> {
    this.#refuseDisposed();
    const { hooks, signal } = parse(forwardSchema, options, 'options');
    const ordered = forwardInputs(inputs, this.bundle);
    const complete = hooks.map(completeHook);
    return this.#run(() => this.#model.forward(ordered, complete), signal);
  }

  /**
   * Shape of the hidden state at each site, by one run of the model on zeros.
   *
   * @returns in the order of `sites`, the first size the batch of 1; null for a site that is not reached
   */
  async shapes(signal?: AbortSignal): Promise<(number[] | null)[]> {
    this.#refuseDisposed();
    return this.#run(() => this.#model.shapes(zeroInputs(this.bundle)), signal);
  }

  /**
   * Ends what is running, frees the model and settles when that is done. Calls that were waiting reject with DISPOSED.
   * A second call waits for the first.
   */
  dispose(): Promise<void> {
    if (!this.#disposing) {
      abandoned.unregister(this);
      this.#disposing = this.#model.dispose();
    }
    return this.#disposing;
  }

  /** For `await using pipeline = await loadPipeline(…)`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #plan(request: GenerateRequest): Plan {
    const { sites, blocks } = this.#description;
    return plan(request, { bundle: this.bundle, sites, layers: blocks, ranking: this.bundle.ranking });
  }

  #record(request: ActivationRequest): AsyncGenerator<ActivationRecord, RecordedSampling, undefined> {
    return recordSampling(request, {
      model: this.#model,
      sites: this.sites,
      maker: this.#maker,
      plan: this.#plan(request.generate),
      run: (start, signal) => this.#run(start, signal),
    });
  }

  /** Waits its turn, runs, and settles after the native side has unwound. */
  #run<Result>(
    start: () => NativeRun<Result>,
    signal: AbortSignal | undefined,
    interrupted: () => { error: unknown } | null = () => null,
  ): Promise<Result> {
    return this.#queue.enter(async () => {
      this.#refuseDisposed();
      const run = start();
      const cancel = () => run.cancel();
      signal?.addEventListener('abort', cancel, { once: true });
      try {
        const result = await run.promise;
        const interruption = interrupted();
        if (interruption) throw interruption.error;
        if (signal?.aborted) throw new AbortError(signal.reason);
        return result;
      } catch (error) {
        const interruption = interrupted();
        if (interruption) throw interruption.error;
        if (signal?.aborted) throw new AbortError(signal.reason);
        this.#refuseDisposed();
        throw wrapNative(error);
      } finally {
        signal?.removeEventListener('abort', cancel);
      }
    }, signal);
  }

  #refuseDisposed(): void {
    if (!this.#disposing) return;
    throw new DetailGuidanceError(
      'DISPOSED',
      'This pipeline has been disposed of; one that is still loaded would be right.',
      {
        expected: 'a pipeline that is still loaded',
      },
    );
  }
}
