/** The server's routes as functions. Errors are of two kinds: it said no, or it did not answer. */
import { apiBase, token } from '../host';

import type { BundleList, ImageRequest, JobDescription, Planned, Problem } from './types';

/** The server refused. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
    /** Seconds after which it may be tried again, where the server says so. */
    readonly retryAfter: number | null = null,
  ) {
    super(problem.message);
  }

  get code(): string {
    return this.problem.code;
  }
}

/** The server did not answer. */
export class Unreachable extends Error {
  constructor() {
    super('The server does not answer.');
  }
}

/** Told where there is no answer, and where the server answers others: those with its token, or those of its machine. */
export const reachability: { onSilence: () => void; onLocked: (to: 'locked' | 'foreign') => void } = {
  onSilence: () => undefined,
  onLocked: () => undefined,
};

/** What a header can hold: no token has other letters. */
const isSendable = (bearer: string) => /^[\x20-\x7e\xa0-\xff]+$/.test(bearer);

export async function call(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  const bearer = token();
  if (bearer !== null && isSendable(bearer)) headers.set('Authorization', `Bearer ${bearer}`);
  let response: Response;
  try {
    response = await fetch(apiBase + path, { ...init, headers });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    reachability.onSilence();
    throw new Unreachable();
  }
  if (response.ok) return response;
  if (response.status === 401) reachability.onLocked(response.headers.has('WWW-Authenticate') ? 'locked' : 'foreign');
  throw await refusalOf(response);
}

async function refusalOf(response: Response): Promise<Refused> {
  const retryAfter = Number(response.headers.get('Retry-After')) || null;
  const body = (await response.json().catch(() => null)) as { error?: Problem } | null;
  const problem = body?.error ?? {
    code: 'INTERNAL',
    message: `The server answered with status ${response.status}.`,
    type: 'server_error' as const,
  };
  return new Refused(response.status, problem, retryAfter);
}

async function get<Answer>(path: string, signal?: AbortSignal): Promise<Answer> {
  return (await (await call(path, { signal })).json()) as Answer;
}

export async function post<Answer>(path: string, body: unknown, signal?: AbortSignal): Promise<Answer> {
  const headers = { 'Content-Type': 'application/json' };
  const response = await call(path, { method: 'POST', headers, body: JSON.stringify(body), signal });
  return (await response.json()) as Answer;
}

export const getBundles = (signal?: AbortSignal) => get<BundleList>('/v1/bundles', signal);
export const getOpenApi = () => get<Record<string, unknown>>('/openapi.json');
export const getHealth = () => get<{ status: string }>('/readyz');
export const postPlan = (request: ImageRequest, signal?: AbortSignal) => post<Planned>('/v1/plan', request, signal);
export const postJob = (request: ImageRequest) => post<JobDescription>('/v1/jobs', request);
export const getJob = (id: string) => get<JobDescription>(`/v1/jobs/${id}`);

export async function cancelJob(id: string): Promise<void> {
  // It has to arrive when the page is being left, too.
  await call(`/v1/jobs/${id}`, { method: 'DELETE', keepalive: true });
}

export async function getPicture(url: string): Promise<Uint8Array> {
  return new Uint8Array(await (await call(url)).arrayBuffer());
}
