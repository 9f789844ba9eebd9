/** The bundles that a server offers: loaded when they are asked for, unloaded when memory is short. */
import { openBundle, type BundleManifest } from '../bundle';
import { partSizes } from '../model/memory';
import { loadPipeline, type Pipeline } from '../pipeline';
import { unknownName } from '../validation/invalid';

import { nameBundles } from './bundleName';
import type { ServerSettings } from './options';
import { ServerError } from './problem';

interface Offer {
  location: string;
  /** What `bundle.json` says; read when it is first asked for. */
  manifest: Promise<BundleManifest> | null;
  pipeline: Promise<Pipeline> | null;
  /** Whether the pipeline is there, and not only on its way. */
  isLoaded: boolean;
  /** Jobs that use the pipeline now. */
  users: number;
  lastUse: number;
  bytes: number;
  /** Known once it was loaded. */
  facts: LoadedFacts | null;
}

/** What only loading a bundle tells. */
export interface LoadedFacts {
  /** Blocks of the transformer. */
  layers: number;
  /** Where it is computed: 'cpu' or 'cuda:N'. */
  device: string;
  /** What it is computed in. */
  dtype: string;
}

export class BundlePool {
  readonly #offers: ReadonlyMap<string, Offer>;
  readonly #closing = new AbortController();

  constructor(private readonly settings: Pick<ServerSettings, 'bundles' | 'load' | 'memoryLimit'>) {
    this.#offers = new Map(
      [...nameBundles(settings.bundles)].map(([name, location]) => [
        name,
        { location, manifest: null, pipeline: null, isLoaded: false, users: 0, lastUse: 0, bytes: 0, facts: null },
      ]),
    );
  }

  get names(): string[] {
    return [...this.#offers.keys()];
  }

  /** The bundle of a request that names none. */
  get preferred(): string {
    return this.names[0]!;
  }

  /** @throws UNKNOWN_BUNDLE */
  check(name: string): void {
    this.#offer(name);
  }

  isLoaded(name: string): boolean {
    return this.#offer(name).isLoaded;
  }

  facts(name: string): LoadedFacts | null {
    return this.#offer(name).facts;
  }

  manifest(name: string): Promise<BundleManifest> {
    const offer = this.#offer(name);
    offer.manifest ??= openBundle(offer.location).catch((error: unknown) => {
      offer.manifest = null;
      throw error;
    });
    return offer.manifest;
  }

  /**
   * Runs `use` with the loaded pipeline of a bundle. Others that nobody uses are unloaded first, the longest unused
   * first, as far as `memoryLimit` asks for it.
   *
   * @throws UNKNOWN_BUNDLE; SHUTTING_DOWN; what `loadPipeline` throws; what `use` throws
   */
  async with<Result>(name: string, use: (pipeline: Pipeline) => Promise<Result>): Promise<Result> {
    const offer = this.#offer(name);
    if (this.#closing.signal.aborted) throw new ServerError('SHUTTING_DOWN', 'The server is about to stop.');
    offer.users++;
    offer.lastUse = Date.now();
    try {
      offer.pipeline ??= this.#load(name, offer).catch((error: unknown) => {
        offer.pipeline = null;
        throw error;
      });
      return await use(await offer.pipeline);
    } finally {
      offer.users--;
      offer.lastUse = Date.now();
    }
  }

  /** Bytes of the weights that are loaded. */
  get bytes(): number {
    return [...this.#offers.values()].reduce((sum, { pipeline, bytes }) => sum + (pipeline ? bytes : 0), 0);
  }

  /** Ends what is being loaded, and frees what is loaded. */
  async close(): Promise<void> {
    this.#closing.abort();
    const loaded = [...this.#offers.values()].map(({ pipeline }) => pipeline?.catch(() => null));
    await Promise.all(loaded.map(async (pipeline) => (await pipeline)?.dispose()));
  }

  async #load(name: string, offer: Offer): Promise<Pipeline> {
    const { memoryLimit, load } = this.settings;
    const manifest = await this.manifest(name);
    const dtype = load.dtype === undefined || load.dtype === 'auto' ? 'float32' : load.dtype;
    offer.bytes = partSizes(manifest, dtype).reduce((sum, { bytes }) => sum + bytes, 0);
    if (memoryLimit !== undefined) await this.#makeRoom(memoryLimit - offer.bytes, offer);
    const pipeline = await loadPipeline(offer.location, { ...load, signal: this.#closing.signal });
    offer.facts = { layers: pipeline.size.blocks, device: pipeline.device, dtype: pipeline.dtype };
    offer.isLoaded = true;
    return pipeline;
  }

  async #makeRoom(limit: number, target: Offer): Promise<void> {
    while (this.bytes - target.bytes > limit) {
      // Looked for anew each time: while one is unloaded, a request may begin to use the next.
      const [longestUnused] = [...this.#offers.values()]
        .filter((offer) => offer !== target && offer.pipeline !== null && offer.users === 0)
        .sort((a, b) => a.lastUse - b.lastUse);
      if (!longestUnused) return;
      const loaded = longestUnused.pipeline;
      // First, so that nobody begins to use it.
      longestUnused.pipeline = null;
      longestUnused.isLoaded = false;
      await (await loaded)?.dispose();
    }
  }

  #offer(name: string): Offer {
    const offer = this.#offers.get(name);
    if (offer) return offer;
    throw new ServerError('UNKNOWN_BUNDLE', unknownName('bundle', name, this.names).message);
  }
}
