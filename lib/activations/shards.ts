/** Tensors on their way to a folder of safetensors files, with an index that is valid after every one of them. */
import { mkdir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';

import { invalid } from '../validation/invalid';
import { unwritable, writeFileAtomic } from '../files/atomic';
import { encodeSafetensors, type Tensor } from '../tensor';

/** A file of a dump. */
export interface Shard {
  /** Its name in the folder. */
  file: string;
  /** Bytes of the file. */
  bytes: number;
  /** Records in it. */
  records: number;
}

/** What a dump is closed with: whether the run came to its end. */
export type Ending = 'complete' | 'aborted' | 'failed';

interface Options<Entry> {
  folder: string;
  /** Bytes of tensors in a file before the next one begins. */
  shardBytes: number;
  /** The text of index.json. */
  index: (shards: readonly Shard[], entries: readonly Entry[], ending: Ending | 'running') => string;
}

/**
 * Collects tensors in memory up to the size of a file, then writes the file and after it the index, each atomically: at
 * any moment the folder is a valid dump of what its index lists, also after a crash or on a full disk.
 */
export class ShardWriter<Entry extends object> {
  readonly shards: Shard[] = [];
  readonly #options: Options<Entry>;
  readonly #entries: (Entry & { shard: number })[] = [];
  #tensors: Record<string, Tensor> = {};
  #waiting: Entry[] = [];
  #bytes = 0;

  private constructor(options: Options<Entry>) {
    this.#options = options;
  }

  /** Makes the folder. @throws OUTPUT_EXISTS, OUTPUT_UNWRITABLE */
  static async create<Entry extends object>(options: Options<Entry>): Promise<ShardWriter<Entry>> {
    const { folder } = options;
    await mkdir(folder).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'EEXIST') throw unwritable(folder, cause);
      throw invalid(folder, 'a folder that does not exist yet', folder, {
        code: 'OUTPUT_EXISTS',
        shown: 'one that exists',
        cause,
      });
    });
    const writer = new ShardWriter(options);
    try {
      await writer.#writeIndex('running');
    } catch (error) {
      // Empty, it would be in the way of the next try.
      await rmdir(folder).catch(() => undefined);
      throw error;
    }
    return writer;
  }

  /** Records whose file is written. */
  get kept(): number {
    return this.#entries.length;
  }

  /** @param tensors by their whole name @throws OUTPUT_UNWRITABLE */
  async add(entry: Entry, tensors: Record<string, Tensor>): Promise<void> {
    Object.assign(this.#tensors, tensors);
    this.#waiting.push(entry);
    for (const { data } of Object.values(tensors)) this.#bytes += data.byteLength;
    if (this.#bytes >= this.#options.shardBytes) await this.#flush();
  }

  /** Writes what is left, and how the run ended. @throws OUTPUT_UNWRITABLE */
  async close(ending: Ending): Promise<void> {
    if (this.#waiting.length > 0) await this.#flush();
    await this.#writeIndex(ending);
  }

  /** Says in the index that the dump ended early, if that can still be written; what waits for a file is dropped. */
  async giveUp(): Promise<void> {
    await this.#writeIndex('failed').catch(() => undefined);
  }

  async #flush(): Promise<void> {
    const { folder } = this.#options;
    const shard = this.shards.length;
    const file = `activations-${String(shard + 1).padStart(5, '0')}.safetensors`;
    const contents = encodeSafetensors(this.#tensors, { format: 'pt' });
    await writeFileAtomic(join(folder, file), contents);
    const before = this.#entries.length;
    try {
      this.shards.push({ file, bytes: contents.byteLength, records: this.#waiting.length });
      // One by one: a call takes only so many arguments.
      for (const entry of this.#waiting) this.#entries.push({ ...entry, shard });
      await this.#writeIndex('running');
    } catch (error) {
      // The index that is there does not list this file.
      this.shards.length = shard;
      this.#entries.length = before;
      await unlink(join(folder, file)).catch(() => undefined);
      throw error;
    }
    this.#tensors = {};
    this.#waiting = [];
    this.#bytes = 0;
  }

  #writeIndex(ending: Ending | 'running'): Promise<void> {
    const { folder, index } = this.#options;
    const text = index(this.shards, this.#entries, ending);
    return writeFileAtomic(join(folder, 'index.json'), new TextEncoder().encode(text));
  }
}
