/** What a PNG of the package says about how it was made: the text chunk `detail-guidance`, in ASCII JSON. */
import { metadataKeyword, PngProblem, pngTextOf } from '../../../lib/image/pngText';
import { clipped, entriesOf, type Unknowns } from '../state/sound';

/** A file that is something else; the message is a sentence for the user. */
export class NotOurs extends Error {}

/** Of what a PNG says, what this page reads; nothing is known of the options but that they are an object. */
export interface DroppedMetadata {
  /** Name of the bundle. */
  bundle: string;
  /** sha256 of its transformer; null where that is not said. */
  transformer: string | null;
  /** Of the package. */
  version: string;
  /** Where it was computed, and in what. */
  device: string;
  dtype: 'float32' | 'bfloat16' | 'float16';
  /** What was quantised, in the words of `loadPipeline`; undefined: nothing. */
  quantize: unknown;
  options: Unknowns;
  /** Rows and columns of image tokens, at the size that it has; null where that is not said. */
  tokenGrid: readonly [rows: number, columns: number] | null;
  /** Sums of what is not in the PNG, by name. */
  conditioning: Unknowns;
}

/** @throws NotOurs for what is no PNG, a damaged one, or one that another program made */
export function readMetadata(bytes: Uint8Array, name: string): DroppedMetadata {
  const text = textOf(bytes, name);
  if (text === null) {
    throw new NotOurs(
      `${name} was not made by detail-guidance: it has no settings to take. It can be started from, though.`,
    );
  }
  let metadata: Unknowns;
  try {
    metadata = entriesOf(restored(JSON.parse(text)));
  } catch {
    throw new NotOurs(`${name}: its settings are damaged.`);
  }
  const { format, version, device, dtype, quantize, bundle, options, conditioning, plan } = metadata;
  if (format !== 1) {
    const shown = typeof format === 'number' || typeof format === 'string' ? clipped(String(format)) : 'unknown';
    throw new NotOurs(`${name} has settings of the format ${shown}; this page reads format 1.`);
  }
  const { name: owner, transformer } = entriesOf(bundle);
  if (typeof owner !== 'string' || typeof version !== 'string' || typeof options !== 'object' || options === null)
    throw new NotOurs(`${name}: its settings are damaged.`);
  return {
    bundle: owner,
    transformer: typeof transformer === 'string' ? transformer : null,
    version,
    device: typeof device === 'string' && /^(cpu|cuda:\d{1,3})$/.test(device) ? device : 'cpu',
    dtype: dtype === 'bfloat16' || dtype === 'float16' ? dtype : 'float32',
    quantize,
    options: entriesOf(options),
    tokenGrid: gridOf(entriesOf(entriesOf(plan)['size'])['tokenGrid']),
    conditioning: entriesOf(conditioning),
  };
}

function gridOf(value: unknown): readonly [number, number] | null {
  const [rows, columns] = Array.isArray(value) ? (value as unknown[]) : [];
  const isSide = (side: unknown): side is number =>
    Number.isSafeInteger(side) && Number(side) > 0 && Number(side) < 2048;
  return isSide(rows) && isSide(columns) ? [rows, columns] : null;
}

function textOf(bytes: Uint8Array, name: string): string | null {
  try {
    return pngTextOf(bytes, metadataKeyword).text;
  } catch (error) {
    throw error instanceof PngProblem ? new NotOurs(`${name} is ${error.what}.`) : error;
  }
}

/** Infinities and large seeds are written as objects; tensors stay as they are. */
export function restored(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(restored);
  if ('$number' in value) return Number(value.$number);
  if ('$bigint' in value) return Number(value.$bigint);
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, restored(inner)]));
}
