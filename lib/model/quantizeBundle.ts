/** Writes a bundle with the weights of its blocks' linear layers in 8 bits. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, copyFile, mkdir, open, readdir, readFile, rename, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join, normalize, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

import { openBundle, type OpenBundle, type BundleFile, type BundleManifest, type StoredQuantization } from '../bundle';
import { writeFileAtomic } from '../files/atomic';
import { checkNewFolder, folderUnwritable, isOfFiles } from '../files/newFolder';
import { setup } from '../files/setup';
import { syncFile } from '../files/syncFile';
import { isTemporary } from '../files/temporary';
import { native } from '../native';
import { encodeSafetensors } from '../tensor';
import { describedBy } from '../validation/describedBy';
import { AbortError, wrapNative } from '../validation/errors';
import { invalid } from '../validation/invalid';
import { parse } from '../validation/parse';
import { abortSignal, callback, strictObject, text } from '../validation/vocabulary';

import { finished } from './abort';
import { nativeQuantisation, quantizeSchema, type Quantize } from './quantizeOptions';
import { nativeInputs } from './transformer';

/** What `quantizeBundle` takes. */
export interface QuantizeBundleOptions {
  /** Folder that does not exist yet; the folder it is in does. OUTPUT_EXISTS, OUTPUT_UNWRITABLE. */
  out: string;
  /** How, as `loadPipeline` takes it. Default 'int8'. */
  quantize?: Quantize;
  /** Called after each file. */
  onProgress?: (progress: QuantizeProgress) => void;
  /** Ends it; the call then rejects with an AbortError. What is done is kept for the next call with the same options. */
  signal?: AbortSignal;
}

/** How far `quantizeBundle` is. */
export interface QuantizeProgress {
  /** Of the bundle. */
  file: string;
  /** Files done. */
  done: number;
  /** Files in all. */
  files: number;
  /** It was there from an earlier call. */
  kept: boolean;
}

const optionsSchema = describedBy<QuantizeBundleOptions>()(
  strictObject({
    out: text('the path of a folder that does not exist yet'),
    quantize: quantizeSchema.default('int8'),
    onProgress: callback<QuantizeProgress, void>().optional(),
    signal: abortSignal().optional(),
  }),
);

/**
 * Writes a bundle whose blocks' linear layers are stored in 8 bits: a quarter of float32's size on disk and in memory.
 * Everything else is copied. It is written beside its place, in `OUT.partial`; a call that was cut short goes on with what
 * is whole there. What becomes the bundle is opened once before it has its name.
 *
 * @param location folder of a bundle, or `'embedded'`
 * @returns the new bundle's folder
 * @throws BAD_OPTION, BUNDLE_NOT_FOUND, BUNDLE_INVALID, BUNDLE_CHECKSUM, CHANNEL_OUT_OF_RANGE, MODEL_UNREADABLE,
 *   OPERATOR_REFUSED, OUTPUT_UNWRITABLE, ABORT_ERR; OUTPUT_EXISTS where `out` is there already, or `OUT.partial`
 *   is no earlier call's, or another call is at work there
 */
export async function quantizeBundle(location: string, options: QuantizeBundleOptions): Promise<string> {
  const { out, quantize: request, onProgress, signal } = parse(optionsSchema, options, 'options');
  await checkNewFolder(out);
  const bundle = await openBundle(location, signal);
  const quantise = nativeQuantisation(request, bundle);
  if (bundle.transformer.quantized) {
    throw invalid('The bundle', 'one whose weights are not quantised', location, { note: 'it is stored in 8 bits' });
  }
  const partial = `${resolve(out)}.partial`;
  const content = join(partial, 'bundle');
  const names = Object.keys(bundle.files);
  const tensorFile = freeName(names);
  const files: Record<string, BundleFile> = {};
  let count = 0;
  const reportFile = async (file: string, isKept: boolean) =>
    onProgress?.({ file, done: ++count, files: names.length + 1, kept: isKept });
  let release: (() => void) | undefined;
  try {
    release = await takePartial(partial);
    // Another call may have come to its end meanwhile.
    await checkNewFolder(out);
    await beginPartial(partial, { bundle: bundle.files, quantise, tensorFile });
    await mkdir(content, { recursive: true });
    for (const file of names.filter((name) => name !== bundle.transformer.file)) {
      if (signal?.aborted) throw new AbortError(signal.reason);
      const place = join(content, file);
      const isKept = isDeepStrictEqual(await recordOf(place), bundle.files[file]);
      if (!isKept) await copyWhole(bundle.path(file), place, join(partial, unfinished));
      files[file] = bundle.files[file]!;
      await reportFile(file, isKept);
    }
    const { quantized, isKept } = await storeTransformer(bundle, { partial, content, tensorFile }, quantise, signal);
    for (const file of [bundle.transformer.file, tensorFile]) {
      files[file] = (await recordOf(join(content, file)))!;
      await reportFile(file, isKept);
    }
    const { transformer, ...manifest } = manifestOf(bundle);
    const described = { ...manifest, files, transformer: { ...transformer, quantized } };
    // How near 16 bits come was measured of other weights.
    delete described.transformer.psnr;
    const text = Buffer.from(`${JSON.stringify(described, null, 2)}\n`);
    await writeWhole(text, join(content, 'bundle.json'), join(partial, unfinished));
    await openBundle(content, signal);
    await rename(content, resolve(out));
    // The bundle is whole, whatever becomes of the rest; the journal is there until all else is gone.
    await rm(join(partial, note), { force: true }).catch(() => undefined);
    await rm(partial, { recursive: true, force: true }).catch(() => undefined);
    return resolve(out);
  } catch (error) {
    if (signal?.aborted) throw new AbortError(signal.reason);
    throw isOfFiles(error) ? folderUnwritable(out, error) : wrapNative(error);
  } finally {
    release?.();
    // Where nothing was begun.
    await rmdir(partial).catch(() => undefined);
  }
}

/**
 * Beside the folder of the bundle, whose files may have any name: what it was begun for, what the transformer became, who
 * is at work, and the file that is being written.
 */
const [journal, note, lock, unfinished] = ['quantize.json', 'transformer.json', 'quantize.lock', 'unfinished'] as const;

/** @returns what gives it back @throws OUTPUT_EXISTS */
async function takePartial(partial: string): Promise<() => void> {
  await mkdir(partial).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const names = await readdir(partial).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTDIR') throw error;
    return null;
  });
  const isBegun = /^[0-9a-f]{64}\n$/.test(await readJournal(partial));
  if (!isBegun && !names?.every((name) => name === lock || isTemporary(name))) {
    throw invalid(partial, 'nothing, or what an earlier call has begun', names?.slice(0, 5), {
      code: 'OUTPUT_EXISTS',
      shown: names ? 'another folder' : 'a file',
      note: 'it is written there first; move it away, or name another out',
    });
  }
  const release = setup('lock').hold(join(partial, lock));
  if (release) return release;
  throw invalid(partial, 'one call at a time', undefined, {
    code: 'OUTPUT_EXISTS',
    shown: 'a second one',
    note: 'another call is at work there',
  });
}

const readJournal = (partial: string) => readFile(join(partial, journal), 'utf8').catch(() => '');

/** What the folder was begun for; another beginning is removed. */
async function beginPartial(partial: string, purpose: object): Promise<void> {
  const text = `${createHash('sha256').update(JSON.stringify(purpose, numbers)).digest('hex')}\n`;
  if ((await readJournal(partial)) === text) return;
  for (const name of await readdir(partial)) {
    if (name !== lock && name !== journal) await rm(join(partial, name), { recursive: true, force: true });
  }
  await writeFileAtomic(join(partial, journal), Buffer.from(text));
}

/** A name that no file of the bundle has, also where upper and lower case are the same. */
function freeName(names: string[]): string {
  const lowerCase = names.map((name) => `${normalize(name).toLowerCase()}/`);
  for (let count = 1; ; count++) {
    const name = `transformer.quantized${count === 1 ? '' : `-${count}`}.safetensors`;
    if (!lowerCase.some((other) => other.startsWith(`${name}/`))) return name;
  }
}

const numbers = (_: string, value: unknown) => (ArrayBuffer.isView(value) ? Array.from(value as Float32Array) : value);

/** The archive with 8 bit weights and the tensors that go with it; both again unless both are whole. */
async function storeTransformer(
  bundle: OpenBundle,
  { partial, content, tensorFile }: { partial: string; content: string; tensorFile: string },
  quantise: ReturnType<typeof nativeQuantisation>,
  signal?: AbortSignal,
): Promise<{ quantized: StoredQuantization; isKept: boolean }> {
  const { transformer } = bundle;
  const archive = join(content, transformer.file);
  const records = () => Promise.all([archive, join(content, tensorFile)].map(recordOf));
  const before = await readFile(join(partial, note), 'utf8').catch(() => null);
  if (before !== null) {
    const { files, quantized } = JSON.parse(before) as { files: object; quantized: StoredQuantization };
    if (isDeepStrictEqual(await records(), files)) return { quantized, isKept: true };
  }
  await mkdir(dirname(archive), { recursive: true });
  const { path: file, identity } = await bundle.sealed(transformer.file, signal);
  const options = {
    file,
    identity,
    device: 'cpu',
    dtype: 'float32' as const,
    inputs: nativeInputs(transformer),
    blocks: transformer.blocks,
    outputChannels: transformer.outputChannels,
    allowAllOperators: false,
    quantise,
  };
  const temporary = join(partial, unfinished);
  const layers = await finished(native().storeQuantised(options, temporary), signal);
  await syncPath(temporary);
  await rename(temporary, archive);
  const tensors = Object.fromEntries(
    layers.flatMap(({ path, scales, columns, smoothing }) => [
      [`${path}.scales`, scales],
      ...(columns ? [[`${path}.columns`, columns] as const] : []),
      ...(smoothing ? [[`${path}.smoothing`, smoothing] as const] : []),
    ]),
  );
  await writeWhole(encodeSafetensors(tensors), join(content, tensorFile), temporary);
  const quantized: StoredQuantization = {
    file: tensorFile,
    weights: quantise.weights,
    activations: quantise.activations,
    layers: layers.map(({ path, inputs, outputs, channels }) => ({ path, inputs, outputs, channels })),
  };
  const known = JSON.stringify({ files: await records(), quantized });
  await writeFileAtomic(join(partial, note), Buffer.from(known));
  return { quantized, isKept: false };
}

async function copyWhole(from: string, to: string, temporary: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  // What a killed call left there may be one that this user may not write to.
  await rm(temporary, { force: true });
  await copyFile(from, temporary);
  // A file that nobody may write to would be copied as one, which this user could not sync.
  await chmod(temporary, (await stat(temporary)).mode | 0o600);
  await syncPath(temporary);
  await rename(temporary, to);
}

async function writeWhole(bytes: Uint8Array, to: string, temporary: string): Promise<void> {
  await writeFileAtomic(temporary, bytes);
  await rename(temporary, to);
}

/** Its bytes are on the disk before it has its name. */
async function syncPath(path: string): Promise<void> {
  const file = await open(path, 'r+');
  await syncFile(file).finally(() => file.close());
}

/** Checksum and size of a file; null where there is none. */
async function recordOf(path: string): Promise<BundleFile | null> {
  const status = await stat(path).catch(() => null);
  if (!status) return null;
  const digest = createHash('sha256');
  for await (const piece of createReadStream(path)) digest.update(piece as Buffer);
  return { sha256: digest.digest('hex'), bytes: status.size };
}

function manifestOf({
  folder: _f,
  ranking: _r,
  path: _p,
  sealed: _s,
  read: _d,
  ...manifest
}: OpenBundle): BundleManifest {
  return manifest;
}
