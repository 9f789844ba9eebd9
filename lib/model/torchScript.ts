/** A TorchScript file as a function of tensors: text encoders, VAEs, classifiers, feature networks. */
import type { SealedFile } from '../bundle';
import { resolveDevice } from './device';
import { deviceName, type LoadOptions } from './loadOptions';
import { describedBy } from '../validation/describedBy';
import { AbortError, type DetailGuidanceError, wrapNative } from '../validation/errors';
import { invalid } from '../validation/invalid';
import { native, type NativeComponent, type NativePictures, type NativeRun } from '../native';
import { parse } from '../validation/parse';
import { abortSignal, choice, flag, strictObject } from '../validation/vocabulary';
import { checkSignal, finished } from './abort';
import { Queue } from './queue';
import type { Tensor } from '../tensor';

/** What `loadTorchScript` takes. */
export interface TorchScriptOptions extends Pick<LoadOptions, 'device' | 'allowAllOperators' | 'signal'> {
  /** Dtype of weights and activations; inputs of integers stay as they are. Default 'float32'. */
  dtype?: 'float32' | 'bfloat16' | 'float16';
}

const torchScriptSchema = describedBy<TorchScriptOptions>()(
  strictObject({
    device: deviceName.default('auto'),
    dtype: choice(['float32', 'bfloat16', 'float16']).default('float32'),
    allowAllOperators: flag().default(false),
    signal: abortSignal().optional(),
  }),
);

/** Frees what was dropped without `dispose()`. */
const abandoned = new FinalizationRegistry<NativeComponent>((component) => {
  component.dispose().catch(() => undefined);
});

/**
 * Loads a TorchScript file, audited as a transformer is, on a thread of its own.
 *
 * @throws BAD_OPTION, MODEL_UNREADABLE, OPERATOR_REFUSED, DEVICE_UNAVAILABLE, OUT_OF_MEMORY, ABORT_ERR
 */
export function loadTorchScript(file: string, options: TorchScriptOptions = {}): Promise<TorchScript> {
  return loadSealedTorchScript({ path: file, identity: '' }, options);
}

/** The same for a file whose checksum was compared: throws MODEL_UNREADABLE for another one in its place. */
export async function loadSealedTorchScript(
  { path: file, identity }: SealedFile,
  options: TorchScriptOptions = {},
): Promise<TorchScript> {
  const { device: deviceOption, dtype, allowAllOperators, signal } = parse(torchScriptSchema, options, 'options');
  if (signal?.aborted) throw new AbortError(signal.reason);
  try {
    const addon = native();
    const loading = addon.loadComponent({
      file,
      identity,
      device: resolveDevice(deviceOption, addon),
      dtype,
      allowAllOperators,
    });
    const component = await finished(loading, signal);
    if (!signal?.aborted) return create(component);
    await component.dispose();
  } catch (error) {
    if (!signal?.aborted) throw wrapNative(error);
  }
  throw new AbortError(signal.reason);
}

/** How much weight a model has. */
export interface WeightSize {
  /** Numbers. */
  parameters: number;
  /** Bytes of all weights in memory. */
  bytes: number;
}

/** Makes one of what the addon loaded; users do so with `loadTorchScript`. */
let create: (component: NativeComponent) => TorchScript;

/** What `pictures` of the addon gives, of a loaded file whose turn has come. @throws what `run` throws */
export let picturesOf: (
  program: TorchScript,
  ...call: [...Parameters<NativeComponent['pictures']>, signal?: AbortSignal]
) => Promise<NativePictures>;

/** A loaded TorchScript file, as a function of tensors; `loadTorchScript` loads one. Calls run one after the other. */
export class TorchScript {
  static {
    create = (component) => new TorchScript(component);
    picturesOf = (program, inputs, form, signal) =>
      program.#enter((component) => component.pictures(inputs, form), signal);
  }

  readonly #component: NativeComponent;
  readonly #queue = new Queue();
  readonly #description: ReturnType<NativeComponent['describe']>;
  #disposing: Promise<void> | null = null;

  private constructor(component: NativeComponent) {
    this.#component = component;
    this.#description = component.describe();
    abandoned.register(this, component, this);
  }

  /** 'cpu' or 'cuda:N'. */
  get device(): string {
    return this.#description.device;
  }

  /** Of weights and activations. */
  get dtype(): string {
    return this.#description.dtype;
  }

  /** Parameters, and bytes of all weights in memory. */
  get size(): WeightSize {
    const { parameters, bytes } = this.#description;
    return { parameters, bytes };
  }

  /**
   * Calls `forward`.
   *
   * @param inputs in its order; floating ones are cast to its dtype
   * @param signal gives up a call that waits; one that runs ends soon
   * @returns the tensors of the result: tuples, lists and dictionaries flattened in order
   * @throws BAD_TENSOR, MODEL_FAILED, OUT_OF_MEMORY, ABORT_ERR, DISPOSED
   */
  async run(inputs: Tensor[], signal?: AbortSignal): Promise<Tensor[]> {
    checkSignal(signal);
    return this.#enter((component) => component.run(inputs), signal);
  }

  /** Ends what runs and frees the weights. Calls that were waiting reject with DISPOSED. */
  dispose(): Promise<void> {
    if (!this.#disposing) {
      abandoned.unregister(this);
      this.#disposing = this.#component.dispose();
    }
    return this.#disposing;
  }

  /** For `await using program = await loadTorchScript(…)`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #enter<Result>(start: (component: NativeComponent) => NativeRun<Result>, signal?: AbortSignal): Promise<Result> {
    return this.#queue.enter(async () => {
      if (this.#disposing) throw disposed();
      try {
        const result = await finished(start(this.#component), signal);
        if (!signal?.aborted) return result;
      } catch (error) {
        if (this.#disposing) throw disposed();
        if (!signal?.aborted) throw wrapNative(error);
      }
      throw new AbortError(signal.reason);
    }, signal);
  }
}

function disposed(): DetailGuidanceError {
  return invalid('This component', 'one that is loaded', undefined, {
    code: 'DISPOSED',
    shown: 'one that has been disposed of',
  });
}
