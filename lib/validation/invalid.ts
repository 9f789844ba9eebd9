/** The one way in which this package says that something does not fit: `path: expected X, received Y.` */
import { DetailGuidanceError, type ErrorCode } from './errors';
import { nearest } from './vocabulary';

export interface Mismatch {
  /** Default BAD_OPTION. */
  code?: ErrorCode;
  /** What was received, in words, where the value itself says little. */
  shown?: string;
  /** Why that was expected, or what to do: a few words, in brackets after the sentence. */
  note?: string | undefined;
  cause?: unknown;
}

/**
 * The error for a value that does not fit.
 *
 * @param path what is wrong, as the caller knows it: `options.steps`, `--out`, a file
 * @param expected what fits, as a noun: `a whole number from 1`
 * @param received the value in its place; becomes the error's `received`
 */
export function invalid(path: string, expected: string, received: unknown, mismatch: Mismatch = {}) {
  const { code = 'BAD_OPTION', shown = show(received), note } = mismatch;
  const message = `${path}: expected ${expected}, received ${shown}${note === undefined ? '' : ` (${note})`}.`;
  return new DetailGuidanceError(code, message, {
    received,
    expected,
    ...('cause' in mismatch ? { cause: mismatch.cause } : {}),
  });
}

/** @throws BAD_OPTION for an argument that is no object: null, or left out */
export function checkObject(value: unknown, name: string, expected: string): void {
  if (typeof value !== 'object' || value === null) throw invalid(name, expected, value);
}

/** @throws BAD_OPTION */
export function checkPipeline(value: unknown): void {
  checkObject(value, 'pipeline', 'a pipeline, as loadPipeline gives it');
}

/** The error for a name that is none of those that are known. `path` is where the name stands. */
export function unknownName(path: string, name: string, known: readonly string[], mismatch: Mismatch = {}) {
  return invalid(path, known.length > 0 ? nearest(name, known) : 'no name', name, mismatch);
}

/** A value as it reads in a sentence: short, and never throwing. Lists in lists are shown two deep, as they may hold themselves. */
export function show(value: unknown): string {
  try {
    return shown(value, 0);
  } catch {
    // A proxy that is revoked, or whose traps throw.
    return 'what cannot be read';
  }
}

function shown(value: unknown, depth: number): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') return `'${shortened(value)}'`;
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (ArrayBuffer.isView(value)) return `a ${value.constructor.name}`;
  if (Array.isArray(value))
    return value.length > 8 || depth > 2
      ? `a list of ${value.length}`
      : `[${value.map((item) => shown(item, depth + 1)).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const keys = Object.keys(value);
    return `an object with ${keys.length > 8 ? `${keys.length} keys` : keys.map(shortened).join(', ') || 'no keys'}`;
  }
  return String(value);
}

/** A text as it fits into a sentence. */
export const shortened = (text: string): string => (text.length > 60 ? `${text.slice(0, 57)}…` : text);

/** What an error says, for a note. */
export function reasonOf(cause: unknown): string {
  // By its shape: `instanceof` fails for errors of another realm.
  const { message } = (cause ?? {}) as { message?: unknown };
  return typeof message === 'string' ? message : String(cause);
}
