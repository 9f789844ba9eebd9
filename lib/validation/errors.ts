import { isNativeError } from 'node:util/types';

/** The one family of errors this package throws: a stable `code`, and a sentence: what was expected, what was received. */
export const errorCodes = [
  'BAD_OPTION',
  'BUNDLE_NOT_FOUND',
  'BUNDLE_INVALID',
  'BUNDLE_CHECKSUM',
  'BUNDLE_TOO_LARGE',
  'MODEL_UNREADABLE',
  'NOT_A_TRANSFORMER',
  'OPERATOR_REFUSED',
  'MODEL_FAILED',
  'DEVICE_UNAVAILABLE',
  'PRECISION_UNAVAILABLE',
  'LAYER_OUT_OF_RANGE',
  'CHANNEL_OUT_OF_RANGE',
  'TOKEN_OUT_OF_RANGE',
  'CLASS_OUT_OF_RANGE',
  'SITE_NOT_FOUND',
  'BAD_TENSOR',
  'ABORT_ERR',
  'OUTPUT_UNWRITABLE',
  'OUTPUT_EXISTS',
  'DISPOSED',
  'PROCESS_ENDED',
  'OUT_OF_MEMORY',
  'CHECKPOINT_NOT_FOUND',
  'CHECKPOINT_UNSUPPORTED',
  'CHECKPOINT_INCOMPLETE',
  'CHECKPOINT_DAMAGED',
  'EXPORT_FAILED',
  'LIBTORCH_NOT_FOUND',
  'LIBTORCH_MISMATCH',
  'ADDON_NOT_BUILT',
  'ADDON_DUPLICATE',
  'SETUP_FAILED',
] as const;

/** What kinds of errors there are; docs/errors.md says when each is thrown and what to do. */
export type ErrorCode = (typeof errorCodes)[number];

/** What an error carries beside its sentence. */
export interface ErrorDetails {
  /** The value that does not fit, or what there was in its place. */
  received?: unknown;
  /** What fits, in words. */
  expected?: string;
  /** What it follows from. */
  cause?: unknown;
}

/**
 * What stands in a message may come from a file: what a terminal takes for an order, or what turns the direction of
 * writing, is spelt out. Line ends and tabs stay.
 */
// eslint-disable-next-line no-control-regex
const orders = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

export function printable(text: string): string {
  return text.replace(orders, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** On the prototypes, by the same symbol in every copy of this file: a process may hold the ESM and the CommonJS build. */
const brand = Symbol.for('detail-guidance.error');

const brandOf = (value: unknown): unknown =>
  typeof value === 'object' && value !== null ? (value as Record<symbol, unknown>)[brand] : undefined;

/** Every error of this package. `message` is a whole sentence; `code` is what a program should look at. */
export class DetailGuidanceError extends Error {
  static {
    Object.defineProperty(this.prototype, brand, { value: 'DetailGuidanceError' });
  }

  /** Errors of the package's other build, too; of a class that extends this one, its own alone. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this !== DetailGuidanceError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return brandOf(value) !== undefined;
  }

  /** The class's name. */
  override name = 'DetailGuidanceError';
  /** What kind of error it is; docs/errors.md lists them. */
  readonly code: ErrorCode;
  /** The value that did not fit, or what there was in its place. */
  readonly received?: unknown;
  /** What would fit, in words. */
  readonly expected?: string;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(printable(message), 'cause' in details ? { cause: details.cause } : undefined);
    this.code = code;
    if ('received' in details) this.received = details.received;
    if (details.expected !== undefined) this.expected = details.expected;
  }
}

/** What an aborted call rejects with, once it has unwound: `name` and `code` as Node's own, `cause` the signal's reason. */
export class AbortError extends DetailGuidanceError {
  static {
    Object.defineProperty(this.prototype, brand, { value: 'AbortError' });
  }

  /** As that of DetailGuidanceError. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this !== AbortError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return brandOf(value) === 'AbortError';
  }

  /** That of Node’s own abort errors. */
  override name = 'AbortError';

  constructor(reason?: unknown) {
    super('ABORT_ERR', 'The operation was aborted by its signal.', { cause: reason });
  }
}

const known: ReadonlySet<string> = new Set(errorCodes);

/**
 * Turns an error of the addon, an `Error` with a string `code`, into a DetailGuidanceError with the same code.
 * Errors that already are one, and errors whose code is not ours, pass through unchanged.
 */
export function wrapNative(error: unknown): unknown {
  // Not `instanceof Error`: where a program runs in a context of its own (Jest, node:vm) its `Error` is not the addon's.
  if (error instanceof DetailGuidanceError || !isNativeError(error)) return error;
  const { code, received, expected } = error as Error & { code?: unknown; received?: unknown; expected?: unknown };
  if (typeof code !== 'string' || !known.has(code)) return error;
  if (code === 'ABORT_ERR') return new AbortError(error.cause);
  const details: ErrorDetails = { cause: error };
  if (received !== undefined) details.received = received;
  if (typeof expected === 'string') details.expected = expected;
  return new DetailGuidanceError(code as ErrorCode, error.message, details);
}
