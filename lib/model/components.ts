/** The parts of a bundle beside its transformer: text encoders and VAE, loaded when they are needed or all the time. */
import type { OpenBundle } from '../bundle';
import { abortsWith } from './abort';
import { loadSealedTorchScript, type TorchScript } from './torchScript';
import type { NativeLoadOptions } from '../native';
import { loadTokenizer, type PromptTokenizer } from '../text';

/** Where the parts run and how they are kept. */
export interface ComponentOptions {
  dtype: NativeLoadOptions['dtype'];
  devices: { textEncoders: string; vae: string };
  /** Load a part when it is used and free it afterwards, instead of keeping all. */
  lowMemory: boolean;
  allowAllOperators: boolean;
}

interface Part {
  file: string;
  device: string;
}

export class Components {
  readonly #parts: ReadonlyMap<string, Part>;
  readonly #loaded = new Map<string, TorchScript>();
  readonly #options: ComponentOptions;
  readonly #ended = new AbortController();
  /** Uses of parts that are loaded for them; they never reject. */
  readonly #uses = new Set<Promise<unknown>>();
  /** Those that are in use. */
  readonly #used = new Set<TorchScript>();

  private constructor(
    private readonly bundle: OpenBundle,
    parts: ReadonlyMap<string, Part>,
    readonly tokenizers: ReadonlyMap<string, PromptTokenizer>,
    options: ComponentOptions,
  ) {
    this.#parts = parts;
    this.#options = options;
  }

  /**
   * Reads the tokenizers, and unless `lowMemory` loads every part.
   *
   * @throws BUNDLE_INVALID for a tokenizer that does not fit; what `loadTorchScript` throws
   */
  static async load(bundle: OpenBundle, options: ComponentOptions, signal?: AbortSignal): Promise<Components> {
    const { textEncoders = {}, vae } = bundle;
    const tokenizers = new Map<string, PromptTokenizer>();
    const parts = new Map<string, Part>();
    for (const [name, encoder] of Object.entries(textEncoders)) {
      tokenizers.set(name, loadTokenizer(await bundle.read(encoder.tokenizer.file), encoder, name));
      parts.set(name, { file: encoder.file, device: options.devices.textEncoders });
    }
    if (vae) parts.set('vae.decoder', { file: vae.decoder.file, device: options.devices.vae });
    if (vae?.encoder) parts.set('vae.encoder', { file: vae.encoder.file, device: options.devices.vae });
    const components = new Components(bundle, parts, tokenizers, options);
    if (options.lowMemory) return components;
    try {
      for (const name of parts.keys()) components.#loaded.set(name, await components.#load(name, signal));
      return components;
    } catch (error) {
      await components.dispose();
      throw error;
    }
  }

  /**
   * Runs `use` with a part: a text encoder by its name, `vae.decoder` or `vae.encoder`.
   *
   * @param signal gives up loading it
   * @throws ABORT_ERR, also where the parts are disposed of; what `use` throws
   */
  async with<Result>(name: string, use: (part: TorchScript) => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    const resident = this.#loaded.get(name);
    if (resident) return use(resident);
    const { controller, stop } = abortsWith([signal, this.#ended.signal]);
    const result = this.#withLoaded(name, use, controller.signal).finally(stop);
    const settled = result.catch(() => undefined);
    this.#uses.add(settled);
    void settled.then(() => this.#uses.delete(settled));
    return result;
  }

  /** Ends what runs, frees all parts, also those that are being loaded, and loads no more. */
  async dispose(): Promise<void> {
    this.#ended.abort();
    await Promise.all([...this.#loaded.values(), ...this.#used].map((part) => part.dispose()));
    this.#loaded.clear();
    await Promise.all(this.#uses);
  }

  async #withLoaded<Result>(
    name: string,
    use: (part: TorchScript) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result> {
    signal.throwIfAborted();
    await using part = await this.#load(name, signal);
    this.#used.add(part);
    try {
      signal.throwIfAborted();
      return await use(part);
    } finally {
      this.#used.delete(part);
    }
  }

  async #load(name: string, signal?: AbortSignal): Promise<TorchScript> {
    const { file, device } = this.#parts.get(name)!;
    const { dtype, allowAllOperators } = this.#options;
    return loadSealedTorchScript(await this.bundle.sealed(file, signal), {
      device,
      dtype,
      allowAllOperators,
      ...(signal ? { signal } : {}),
    });
  }
}
