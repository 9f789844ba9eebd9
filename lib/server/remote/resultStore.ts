/** Where workers put pictures and servers find them: a folder that all of them reach, or an S3-compatible store. */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { checkWritable, unwritable, writeFileAtomic } from '../../files/atomic';
import { invalid } from '../../validation/invalid';

export interface ResultStore {
  /** @throws OUTPUT_UNWRITABLE when nothing can be written there */
  check(): Promise<void>;
  /** Whole or not at all. @throws OUTPUT_UNWRITABLE */
  put(key: string, bytes: Uint8Array): Promise<void>;
  /** Null for what is not there. @throws what the store says where it does not answer */
  get(key: string): Promise<Uint8Array | null>;
  /** Removes what is older, where the store does not do that by rules of its own. */
  removeOlderThan(seconds: number): Promise<void>;
}

/**
 * @throws BAD_OPTION for a folder that is not there
 * @param location a folder, or `s3://bucket/prefix` (region, endpoint and credentials as the AWS client finds them)
 * @param patience milliseconds in which a store takes or gives a picture: the AWS client, and a network file system, would wait
 *   for good
 */
export async function openResultStore(location: string, patience = 60_000): Promise<ResultStore> {
  if (location.startsWith('s3://')) return openS3Store(location, patience);
  const status = await stat(location).catch(() => null);
  if (status?.isDirectory()) return patientStore(new FolderStore(resolve(location)), location, patience);
  throw invalid('results', 'a folder that is there, and that all machines reach', location, {
    note: status ? 'it is a file' : 'it does not exist',
  });
}

const keyPattern = /^[0-9a-f-]{36}-\d+\.png$/;
/** Of files that tell the time; a process that is killed leaves one. */
const clockName = '.clock-';

class FolderStore implements ResultStore {
  constructor(private readonly folder: string) {}

  check(): Promise<void> {
    return checkWritable(join(this.folder, '00000000-0000-0000-0000-000000000000-0.png'));
  }

  put(key: string, bytes: Uint8Array): Promise<void> {
    return writeFileAtomic(join(this.folder, key), bytes);
  }

  async get(key: string): Promise<Uint8Array | null> {
    if (!keyPattern.test(key)) return null;
    // No link and no pipe: who may write here could point to any file of this machine, or hold it up.
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
    const file = await open(join(this.folder, key), O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch(
      ({ code, message }: NodeJS.ErrnoException) => {
        if (code === 'ENOENT' || code === 'ELOOP') return null;
        throw new Error(message);
      },
    );
    try {
      return (await file?.stat())?.isFile() ? await file!.readFile() : null;
    } finally {
      await file?.close();
    }
  }

  /** Milliseconds by the clock that stamps the files: on a shared folder not this machine's. */
  async #now(): Promise<number> {
    const probe = join(this.folder, `${clockName}${randomUUID()}`);
    try {
      await writeFile(probe, '');
      return (await stat(probe)).mtimeMs;
    } finally {
      await rm(probe, { force: true });
    }
  }

  async removeOlderThan(seconds: number): Promise<void> {
    const oldest = (await this.#now()) - seconds * 1000;
    for (const name of await readdir(this.folder).catch(() => [])) {
      if (!keyPattern.test(name) && !name.startsWith(clockName)) continue;
      const path = join(this.folder, name);
      const { mtimeMs } = await lstat(path).catch(() => ({ mtimeMs: Infinity }));
      // One that cannot be removed, a folder or another user's, does not keep the others.
      if (mtimeMs < oldest) await rm(path, { force: true }).catch(() => undefined);
    }
  }
}

/**
 * A store that is given up after a while: a network file system that hangs answers nothing, not even that.
 *
 * @param location of the store, as it was named
 * @param patience milliseconds
 */
export function patientStore(store: ResultStore, location: string, patience: number): ResultStore {
  const late = new Error('it does not answer');
  const asUnwritable = (error: unknown) => {
    throw error === late ? unwritable(location, late) : error;
  };
  let isSweeping = false;
  return {
    check: () => within(store.check(), patience, late).catch(asUnwritable),
    put: (key, bytes) => within(store.put(key, bytes), patience, late).catch(asUnwritable),
    get: (key) => within(store.get(key), patience, late),
    async removeOlderThan(seconds) {
      // One after the other: each that hangs holds a thread of those that all files of the process have.
      if (isSweeping) return;
      isSweeping = true;
      await store.removeOlderThan(seconds).finally(() => (isSweeping = false));
    },
  };
}

async function within<Result>(work: Promise<Result>, milliseconds: number, late: Error): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const end = new Promise<never>((_, reject) => (timer = setTimeout(() => reject(late), milliseconds)));
  return Promise.race([work, end]).finally(() => clearTimeout(timer));
}

async function openS3Store(location: string, patience: number): Promise<ResultStore> {
  const { hostname: bucket, pathname } = new URL(location);
  const prefix = pathname.replace(/^\/+|\/+$/g, '');
  const keyOf = (key: string) => (prefix === '' ? key : `${prefix}/${key}`);
  const aws = await import('@aws-sdk/client-s3').catch((cause: unknown) => {
    throw invalid('results', 'the package @aws-sdk/client-s3 to be installed', undefined, {
      cause,
      note: 'npm install @aws-sdk/client-s3',
    });
  });
  const client = new aws.S3Client({
    // Stores of other makers are reached by path, and do not all know the newer checksums.
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  const patiently = () => ({ abortSignal: AbortSignal.timeout(patience) });
  const refused = (cause: unknown) =>
    invalid('results', `a store that takes pictures at ${location}`, undefined, {
      code: 'OUTPUT_UNWRITABLE',
      cause,
      note: cause instanceof Error ? cause.message : String(cause),
    });
  return {
    async check() {
      await client.send(new aws.HeadBucketCommand({ Bucket: bucket }), patiently()).catch((cause: unknown) => {
        throw refused(cause);
      });
    },
    async put(key, bytes) {
      const object = { Bucket: bucket, Key: keyOf(key), Body: bytes, ContentType: 'image/png' };
      await client.send(new aws.PutObjectCommand(object), patiently()).catch((cause: unknown) => {
        throw refused(cause);
      });
    },
    async get(key) {
      if (!keyPattern.test(key)) return null;
      const question = new aws.GetObjectCommand({ Bucket: bucket, Key: keyOf(key) });
      const object = await client.send(question, patiently()).catch((cause: unknown) => {
        if (cause instanceof aws.NoSuchKey) return null;
        throw cause;
      });
      return (await object?.Body?.transformToByteArray()) ?? null;
    },
    // A store of this kind has rules of its own for that.
    removeOlderThan: () => Promise.resolve(),
  };
}
