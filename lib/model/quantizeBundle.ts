/** Writes a bundle with the weights of its blocks' linear layers in 8 bits. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, copyFile, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

import { openBundle, type OpenBundle, type BundleFile, type BundleManifest, type StoredQuantization } from '../bundle';
import { writeFileAtomic } from '../files/atomic';
import { checkNewFolder, folderUnwritable } from '../files/newFolder';
import { syncFile } from '../files/syncFile';
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
  /** Folder that does not exist yet; the folder it is in does. OUTPUT_UNWRITABLE. */
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

const tensorFile = 'transformer.quantized.safetensors';

/**
 * Writes a bundle whose blocks' linear layers are stored in 8 bits: a quarter of float32's size on disk and in memory.
 * Everything else is copied. It is written beside its place, in `OUT.partial`; a call that was cut short goes on with what
 * is whole there.
 *
 * @param location folder of a bundle, or `'embedded'`
 * @returns the new bundle's folder
 * @throws BAD_OPTION, BUNDLE_NOT_FOUND, BUNDLE_INVALID, BUNDLE_CHECKSUM, CHANNEL_OUT_OF_RANGE, MODEL_UNREADABLE,
 *   OPERATOR_REFUSED, OUTPUT_UNWRITABLE, ABORT_ERR
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
  const names = Object.keys(bundle.files);
  const files: Record<string, BundleFile> = {};
  let count = 0;
  const reportFile = (file: string, isKept: boolean) =>
    onProgress?.({ file, done: ++count, files: names.length + 1, kept: isKept });
  try {
    await beginPartial(partial, { bundle: bundle.files, quantise });
    for (const file of names.filter((name) => name !== bundle.transformer.file)) {
      if (signal?.aborted) throw new AbortError(signal.reason);
      const place = join(partial, file);
      const isKept = isDeepStrictEqual(await recordOf(place), bundle.files[file]);
      if (!isKept) await copyWhole(bundle.path(file), place);
      files[file] = bundle.files[file]!;
      reportFile(file, isKept);
    }
    const { quantized, isKept } = await storeTransformer(bundle, partial, quantise, signal);
    for (const file of [bundle.transformer.file, tensorFile]) {
      files[file] = (await recordOf(join(partial, file)))!;
      reportFile(file, isKept);
    }
    const { transformer, ...manifest } = manifestOf(bundle);
    const described = { ...manifest, files, transformer: { ...transformer, quantized } };
    // How near 16 bits come was measured of other weights.
    delete described.transformer.psnr;
    await writeFileAtomic(join(partial, 'bundle.json'), Buffer.from(`${JSON.stringify(described, null, 2)}\n`));
    for (const file of [journal, note]) await rm(join(partial, file));
    await rename(partial, resolve(out));
    return resolve(out);
  } catch (error) {
    if (signal?.aborted) throw new AbortError(signal.reason);
    const isOfFiles = (error as NodeJS.ErrnoException).syscall !== undefined;
    throw isOfFiles ? folderUnwritable(out, error) : wrapNative(error);
  }
}

/** What the folder was begun for, and what the transformer became; gone when all is done. */
const [journal, note] = ['quantize.json', 'transformer.json'] as const;

/** What the folder was begun for; another beginning is removed. */
async function beginPartial(partial: string, purpose: object): Promise<void> {
  const text = createHash('sha256').update(JSON.stringify(purpose, numbers)).digest('hex');
  const purposeBefore = await readFile(join(partial, journal), 'utf8').catch(() => '');
  if (purposeBefore.startsWith(text)) return;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial);
  await writeFileAtomic(join(partial, journal), Buffer.from(`${text}\n`));
}

const numbers = (_: string, value: unknown) => (ArrayBuffer.isView(value) ? Array.from(value as Float32Array) : value);

/** The archive with 8 bit weights and the tensors that go with it; both again unless both are whole. */
async function storeTransformer(
  bundle: OpenBundle,
  partial: string,
  quantise: ReturnType<typeof nativeQuantisation>,
  signal?: AbortSignal,
): Promise<{ quantized: StoredQuantization; isKept: boolean }> {
  const { transformer } = bundle;
  const archive = join(partial, transformer.file);
  const records = () => Promise.all([archive, join(partial, tensorFile)].map(recordOf));
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
  const temporary = `${archive}.tmp`;
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
  await writeFileAtomic(join(partial, tensorFile), encodeSafetensors(tensors));
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

async function copyWhole(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  const temporary = join(dirname(to), `.${basename(to)}.tmp`);
  await copyFile(from, temporary);
  // A file that nobody may write to would be copied as one, which this user could not sync.
  await chmod(temporary, (await stat(temporary)).mode | 0o600);
  await syncPath(temporary);
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
