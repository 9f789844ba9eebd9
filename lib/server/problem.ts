/** Errors as HTTP answers: one shape for all of them, which clients of OpenAI's interface read too. */
import type { ContentfulStatusCode } from 'hono/utils/http-status';

import { DetailGuidanceError, type ErrorCode } from '../validation/errors';

/** What only a server can answer. */
export type ServerErrorCode =
  | 'BAD_REQUEST'
  | 'UNAUTHORIZED'
  | 'NOT_FOUND'
  | 'METHOD_NOT_ALLOWED'
  | 'NOT_ACCEPTABLE'
  | 'BODY_TOO_LARGE'
  | 'UNSUPPORTED_MEDIA_TYPE'
  | 'UNKNOWN_BUNDLE'
  | 'UNKNOWN_JOB'
  | 'QUEUE_FULL'
  | 'SHUTTING_DOWN'
  | 'QUEUE_UNAVAILABLE'
  | 'RESULT_UNAVAILABLE'
  | 'WORKER_MISMATCH'
  | 'INTERNAL';

const ownStatus: Record<ServerErrorCode, ContentfulStatusCode> = {
  BAD_REQUEST: 400,
  UNAUTHORIZED: 401,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  NOT_ACCEPTABLE: 406,
  BODY_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  UNKNOWN_BUNDLE: 404,
  UNKNOWN_JOB: 404,
  QUEUE_FULL: 429,
  SHUTTING_DOWN: 503,
  QUEUE_UNAVAILABLE: 503,
  RESULT_UNAVAILABLE: 503,
  WORKER_MISMATCH: 503,
  INTERNAL: 500,
};

/** A refusal of the server itself. */
export class ServerError extends Error {
  override name = 'ServerError';

  constructor(
    readonly code: ServerErrorCode,
    message: string,
    readonly headers: Record<string, string> = {},
  ) {
    super(message);
  }
}

/** What of the request was wrong, by the code of the library's error. Codes that are missing are our own failures. */
const libraryStatus: Partial<Record<ErrorCode, ContentfulStatusCode>> = {
  BAD_OPTION: 400,
  BAD_TENSOR: 400,
  CLASS_OUT_OF_RANGE: 400,
  LAYER_OUT_OF_RANGE: 400,
  CHANNEL_OUT_OF_RANGE: 400,
  TOKEN_OUT_OF_RANGE: 400,
  SITE_NOT_FOUND: 400,
  BUNDLE_NOT_FOUND: 503,
  BUNDLE_INVALID: 503,
  BUNDLE_CHECKSUM: 503,
  BUNDLE_TOO_LARGE: 507,
  OUT_OF_MEMORY: 507,
  OUTPUT_UNWRITABLE: 507,
  ABORT_ERR: 499 as ContentfulStatusCode,
};

/** The status of a job's problem, which has lost its class. */
export function statusOf({ code, type }: Problem): ContentfulStatusCode {
  const status = ownStatus[code as ServerErrorCode] ?? libraryStatus[code as ErrorCode];
  return status ?? (type === 'invalid_request_error' ? 400 : 500);
}

/** An error as a client reads it: a stable code, a sentence, and for a bad option what was expected. */
export interface Problem {
  /** As the library's errors have it, or the server's own (docs/server.md). */
  code: string;
  /** A whole sentence. */
  message: string;
  /** The kind of error, as OpenAI's clients name it. */
  type: 'invalid_request_error' | 'server_error';
  /** What would fit, for a bad option. */
  expected?: string;
}

/** The answer to a request that failed; nothing of the server's inside is told. */
export function problemOf(error: unknown): {
  status: ContentfulStatusCode;
  headers: Record<string, string>;
  problem: Problem;
} {
  if (error instanceof ServerError) {
    const status = ownStatus[error.code];
    return { status, headers: error.headers, problem: describe(error.code, error.message, status) };
  }
  if (error instanceof DetailGuidanceError) {
    const status = libraryStatus[error.code] ?? 500;
    const problem = describe(error.code, error.message, status);
    return { status, headers: {}, problem: error.expected ? { ...problem, expected: error.expected } : problem };
  }
  const problem = describe('INTERNAL', 'The server failed; its log says more.', 500);
  return { status: 500, headers: {}, problem };
}

function describe(code: string, message: string, status: number): Problem {
  return { code, message, type: status < 500 ? 'invalid_request_error' : 'server_error' };
}
