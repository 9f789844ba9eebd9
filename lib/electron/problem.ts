/** Errors as plain data, and back. */
import { AbortError, DetailGuidanceError, errorCodes, type ErrorCode } from '../validation/errors';
import { reasonOf } from '../validation/invalid';

import type { Outcome, Problem } from './types';

export function problemOf(error: unknown): Problem {
  const { code, expected } = (error ?? {}) as { code?: unknown; expected?: unknown };
  return {
    code: typeof code === 'string' ? code : 'UNEXPECTED',
    message: reasonOf(error),
    ...(typeof expected === 'string' ? { expected } : {}),
  };
}

/** The error that an application in the main process catches. */
export function errorOf({ code, message, expected }: Problem): Error {
  if (code === 'ABORT_ERR') return new AbortError();
  if (!errorCodes.some((known) => known === code)) return Object.assign(new Error(message), { code });
  return new DetailGuidanceError(code as ErrorCode, message, expected === undefined ? {} : { expected });
}

/** The value of an outcome. @throws its error */
export function valueOf<Value>(outcome: Outcome<Value>): Value {
  if (outcome.ok) return outcome.value;
  throw errorOf(outcome.error);
}
