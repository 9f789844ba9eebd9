/** The parts of a bundle beside its transformer: text encoders and VAE, loaded when they are needed or all the time. */
import type { OpenBundle } from '../bundle';
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

  /** Runs `use` with a part: a text encoder by its name, `vae.decoder` or `vae.encoder`. */
  async with<Result>(name: string, use: (part: TorchScript) => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    const resident = this.#loaded.get(name);
    if (resident) return use(resident);
    await using part = await this.#load(name, signal);
    return await use(part);
  }

  /** Frees all parts. */
  async dispose(): Promise<void> {
    await Promise.all([...this.#loaded.values()].map((part) => part.dispose()));
    this.#loaded.clear();
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
