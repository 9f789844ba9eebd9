/** The bundle's transformer: loaded all the time, or only while it is used. */
import type { TransformerManifest, SealedFile } from '../bundle';
import type { NativeAddon, NativeLoadOptions, NativeModel } from '../native';

import { abortsWith, finished } from './abort';

/** Arguments of the model's forward, as the addon is told. */
export function nativeInputs({ inputs }: TransformerManifest): NativeLoadOptions['inputs'] {
  return inputs.map(({ name, role, dtype, shape }) => ({ name, role, dtype, batched: shape[0] === 'batch' }));
}

export class Transformer {
  /** What the model said of itself when it was loaded first. */
  readonly description: ReturnType<NativeModel['describe']>;
  #model: NativeModel | null;
  readonly #ended = new AbortController();
  #loading: Promise<unknown> | null = null;

  private constructor(
    model: NativeModel,
    private readonly reload: (signal: AbortSignal) => Promise<NativeModel>,
    private readonly lowMemory: boolean,
  ) {
    this.#model = model;
    this.description = model.describe();
  }

  /**
   * @param sealed the bundle's file, again before every load
   * @throws what the addon throws, not wrapped
   */
  static async load(
    addon: NativeAddon,
    options: Omit<NativeLoadOptions, 'file' | 'identity'>,
    sealed: () => Promise<SealedFile>,
    lowMemory: boolean,
    signal?: AbortSignal,
  ): Promise<Transformer> {
    const load = async (until?: AbortSignal) => {
      const { path: file, identity } = await sealed();
      return finished(addon.load({ ...options, file, identity }), until);
    };
    const transformer = new Transformer(await load(signal), load, lowMemory);
    await transformer.release();
    return transformer;
  }

  /** The model, where it is in memory. */
  get loaded(): NativeModel | null {
    return this.#model;
  }

  /**
   * The loaded model. Followed by `release()` when it is no longer used.
   *
   * @param signal gives up loading it
   */
  async acquire(signal?: AbortSignal): Promise<NativeModel> {
    if (this.#model) return this.#model;
    const { controller, stop } = abortsWith([signal, this.#ended.signal]);
    const loading = this.reload(controller.signal).finally(stop);
    this.#loading = loading.catch(() => undefined);
    const model = await loading;
    // Disposed of while it was loading: the caller finds that out next.
    if (this.#ended.signal.aborted) await model.dispose();
    else this.#model = model;
    return model;
  }

  /** With `lowMemory` the model is freed, otherwise it is kept. */
  async release(): Promise<void> {
    if (!this.lowMemory || !this.#model) return;
    const model = this.#model;
    this.#model = null;
    await model.dispose();
  }

  /** Cancels what runs, waits for it, frees the model. Again is fine. */
  async dispose(): Promise<void> {
    this.#ended.abort();
    await this.#loading;
    await this.#model?.dispose();
  }
}
