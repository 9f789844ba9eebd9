/** Who may call: the bearer token, and for a server without one only this machine's own pages and programs. */
import { createHash, timingSafeEqual } from 'node:crypto';

import type { MiddlewareHandler } from 'hono';

import type { ServerSettings } from './options';
import { ServerError } from './problem';

const digest = (text: string) => createHash('sha256').update(text).digest();

/** Compares in constant time, whatever the lengths. */
export function requireToken(token: string): MiddlewareHandler {
  const expected = digest(token);
  return async ({ req }, next) => {
    const [, received = ''] = /^Bearer (.+)$/i.exec(req.header('authorization') ?? '') ?? [];
    if (!timingSafeEqual(digest(received), expected)) {
      throw new ServerError('UNAUTHORIZED', 'Authorization: expected the bearer token of this server.', {
        'WWW-Authenticate': 'Bearer',
      });
    }
    await next();
  };
}

export const isLoopback = (host: string) => /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/i.test(host);

/**
 * Without a token the server trusts whoever reaches it, so a page of another site must not: its requests carry the
 * name that it reached this machine by (DNS rebinding), or its own origin.
 */
export function requireOwnHost({ origins }: Pick<ServerSettings, 'origins'>): MiddlewareHandler {
  return async ({ req }, next) => {
    const host = (req.header('host') ?? '').replace(/:\d+$/, '');
    const origin = req.header('origin');
    const isForeign =
      origin !== undefined && !origins.includes('*') && !origins.includes(origin) && !isLoopback(hostOf(origin));
    if (!isLoopback(host) || isForeign) {
      throw new ServerError('UNAUTHORIZED', 'This server has no token and answers to this machine alone.');
    }
    await next();
  };
}

function hostOf(origin: string): string {
  try {
    return new URL(origin).hostname;
  } catch {
    return '';
  }
}
