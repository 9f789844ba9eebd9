/** The body of a request: JSON of a bounded size, validated by the route's schema. */
import type { Context } from 'hono';
import type { z } from 'zod';

import { aside } from '../aside/thread';
import { parse } from '../validation/parse';

import { ServerError } from './problem';
import { base64Fields } from './request';

/** Bytes that are parsed sooner than sent to a thread. */
const smallBody = 2 ** 16;

/** @throws UNSUPPORTED_MEDIA_TYPE, BODY_TOO_LARGE, BAD_REQUEST for what is no JSON, BAD_OPTION */
export async function readBody<Schema extends z.ZodType>(
  { req }: Context,
  schema: Schema,
  name = 'body',
): Promise<z.output<Schema>> {
  const type = (req.header('content-type') ?? '').split(';')[0]!.trim().toLowerCase();
  if (type !== 'application/json') {
    throw new ServerError('UNSUPPORTED_MEDIA_TYPE', `Content-Type: expected application/json, received '${type}'.`);
  }
  const coding = req.header('content-encoding') ?? 'identity';
  if (coding !== 'identity') {
    throw new ServerError('UNSUPPORTED_MEDIA_TYPE', `Content-Encoding: expected none, received '${coding}'.`);
  }
  const bytes = new Uint8Array(await req.arrayBuffer());
  let json: unknown;
  try {
    const isSmall = bytes.length <= smallBody;
    json = await aside('parseWithBytes', [bytes, base64Fields], { isSmall, givenAway: [bytes] });
  } catch (error) {
    if (error instanceof RangeError) throw new ServerError('BODY_TOO_LARGE', `body: ${error.message}.`);
    throw new ServerError('BAD_REQUEST', `body: expected JSON, received ${(error as Error).message}.`);
  }
  return parse(schema, json, name);
}
