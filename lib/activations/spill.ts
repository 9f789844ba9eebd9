/** Deliveries that wait on the disk to be read. */
import { closeSync, openSync, promises, read, unlinkSync, write } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { deserialize, serialize } from 'node:v8';

import { unwritable } from '../files/atomic';
import type { NativeRecords } from '../native';

const writeAt = promisify(write);
const readAt = promisify(read);

/** The file of an iterator that was dropped without being read to its end. */
const abandoned = new FinalizationRegistry(closeSync);

/** One temporary file without a name: whatever happens to the process, nothing stays behind. */
export class Spill {
  readonly #file: number;
  #bytes = 0;
  #closed = false;

  private constructor(file: number) {
    this.#file = file;
    abandoned.register(this, file, this);
  }

  /** @throws OUTPUT_UNWRITABLE */
  static async create(): Promise<Spill> {
    try {
      const folder = await promises.mkdtemp(join(tmpdir(), 'detail-guidance-records-'));
      try {
        const path = join(folder, 'records');
        const spill = new Spill(openSync(path, 'wx+', 0o600));
        unlinkSync(path);
        return spill;
      } finally {
        await promises.rmdir(folder);
      }
    } catch (cause) {
      throw unwritable(join(tmpdir(), 'detail-guidance-records-*'), cause);
    }
  }

  /** @returns what reads it again @throws OUTPUT_UNWRITABLE, as for a disk that is full */
  async put({ tensors, ...records }: NativeRecords): Promise<() => Promise<NativeRecords>> {
    // Each tensor apart: together they may be larger than a buffer can be.
    const pieces: Piece[] = [];
    for (const value of [records, ...tensors]) pieces.push(await this.#append(serialize(value)));
    return async () => {
      const [first, ...others] = pieces as [Piece, ...Piece[]];
      const records = { ...(await this.#read<Omit<NativeRecords, 'tensors'>>(first)), tensors: [] } as NativeRecords;
      for (const piece of others) records.tensors.push(await this.#read(piece));
      return records;
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    abandoned.unregister(this);
    closeSync(this.#file);
  }

  async #append(contents: Buffer): Promise<Piece> {
    const position = this.#bytes;
    this.#bytes += contents.length;
    try {
      for (let done = 0; done < contents.length;) {
        const rest = contents.subarray(done, done + mostBytes);
        done += (await writeAt(this.#file, rest, 0, rest.length, position + done)).bytesWritten;
      }
    } catch (cause) {
      throw unwritable(join(tmpdir(), 'detail-guidance-records-*'), cause);
    }
    return { position, length: contents.length };
  }

  async #read<Value>({ position, length }: Piece): Promise<Value> {
    const contents = Buffer.allocUnsafeSlow(length);
    for (let done = 0; done < length;) {
      const most = Math.min(mostBytes, length - done);
      const { bytesRead } = await readAt(this.#file, contents, done, most, position + done);
      if (bytesRead === 0) throw new Error(`The temporary file of records ends at byte ${position + done}.`);
      done += bytesRead;
    }
    return deserialize(contents) as Value;
  }
}

interface Piece {
  position: number;
  length: number;
}

/** Of one call: an operating system takes less than 2 GiB. */
const mostBytes = 2 ** 30;
