/**
 * Files whose checksum was compared, and nothing else from then on: each is opened once to be compared, and what it was
 * goes to whoever reads it next, who refuses another one in its place.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';

import { AbortError } from '../validation/errors';
import { invalid } from '../validation/invalid';

/** A file on the disk, and which one. */
export interface SealedFile {
  /** Absolute path. */
  path: string;
  /** Device, inode, size, times of change, as native/core/archive/file.h writes them; empty where there is no telling. */
  identity: string;
}

/** What `bundle.json` says of a file. */
export interface Checksum {
  sha256: string;
  bytes: number;
}

/** Bytes that are read at a time. */
const pieceBytes = 1 << 20;

/**
 * Opens a regular file for reading, for as long as `use` takes. Of pipes and devices, which could keep the process
 * waiting for ever, nothing is read.
 *
 * @throws what node throws when it cannot be opened; `refuse()` for what is no regular file
 */
export async function withRegularFile<Result>(
  path: string,
  refuse: () => Error,
  use: (handle: FileHandle, identity: string) => Promise<Result>,
): Promise<Result> {
  if (!(await stat(path)).isFile()) throw refuse();
  // Not waiting: a pipe may have taken its place by now. Windows has no such flag.
  const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    if (!(await handle.stat()).isFile()) throw refuse();
    return await use(handle, await identityOf(handle));
  } finally {
    await handle.close();
  }
}

/**
 * Compares a file with its checksum.
 *
 * @throws BUNDLE_CHECKSUM when it is truncated, longer or altered, or changes meanwhile; ABORT_ERR
 */
export async function seal(
  handle: FileHandle,
  identity: string,
  file: string,
  checksum: Checksum,
  signal?: AbortSignal,
): Promise<void> {
  await requireSize(handle, file, checksum);
  requireDigest(await digestOf(handle, signal), file, checksum);
  if ((await identityOf(handle)) === identity) return;
  throw invalid(`The bundle's file ${file}`, 'a file that stays as it is', undefined, {
    code: 'BUNDLE_CHECKSUM',
    shown: 'one that is written to',
  });
}

/**
 * The sha256 of a file that has no checksum to compare with, and which file that is.
 *
 * @throws what `withRegularFile` throws; ABORT_ERR
 */
export function fingerprintFile(
  path: string,
  refuse: () => Error,
  signal?: AbortSignal,
): Promise<SealedFile & { sha256: string }> {
  return withRegularFile(path, refuse, async (handle, identity) => ({
    path,
    identity,
    sha256: await digestOf(handle, signal),
  }));
}

async function digestOf(handle: FileHandle, signal?: AbortSignal): Promise<string> {
  const digest = createHash('sha256');
  const piece = Buffer.allocUnsafe(pieceBytes);
  for (let at = 0; ;) {
    if (signal?.aborted) throw new AbortError(signal.reason);
    const { bytesRead } = await handle.read(piece, 0, piece.length, at);
    if (bytesRead === 0) return digest.digest('hex');
    digest.update(piece.subarray(0, bytesRead));
    at += bytesRead;
  }
}

/** The whole of a file, compared with its checksum. Throws as `seal` does. */
export async function readSealed(handle: FileHandle, file: string, checksum: Checksum): Promise<Buffer> {
  await requireSize(handle, file, checksum);
  const bytes = await handle.readFile();
  requireDigest(createHash('sha256').update(bytes).digest('hex'), file, checksum);
  return bytes;
}

async function requireSize(handle: FileHandle, file: string, { bytes }: Checksum): Promise<void> {
  const { size } = await handle.stat();
  if (size === bytes) return;
  throw invalid(`The bundle's file ${file}`, `${bytes} bytes`, size, {
    code: 'BUNDLE_CHECKSUM',
    note: size < bytes ? 'it is truncated' : 'it has been altered',
  });
}

function requireDigest(digest: string, file: string, { sha256 }: Checksum): void {
  if (digest === sha256) return;
  throw invalid(`The bundle's file ${file}`, `the sha256 ${sha256}`, digest, {
    code: 'BUNDLE_CHECKSUM',
    shown: digest,
    note: 'it has been altered',
  });
}

async function identityOf(handle: FileHandle): Promise<string> {
  // Neither Windows nor Deno, whose times are cut to seconds, can say it: there a swap is not noticed.
  if (process.platform === 'win32' || 'Deno' in globalThis) return '';
  const { dev, ino, size, mtimeNs, ctimeNs } = await handle.stat({ bigint: true });
  return [dev, ino, size, mtimeNs, ctimeNs].join(':');
}
