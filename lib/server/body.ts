/** The body of a request: JSON of a bounded size, validated by the route's schema. */
import type { Context } from 'hono';
import type { z } from 'zod';

import { parse } from '../validation/parse';

import { ServerError } from './problem';

/** @throws UNSUPPORTED_MEDIA_TYPE, BAD_REQUEST for what is no JSON, BAD_OPTION */
export async function readBody<Schema extends z.ZodType>(
  { req }: Context,
  schema: Schema,
  name = 'body',
): Promise<z.output<Schema>> {
  const type = (req.header('content-type') ?? '').split(';')[0]!.trim().toLowerCase();
  if (type !== 'application/json') {
    throw new ServerError('UNSUPPORTED_MEDIA_TYPE', `Content-Type: expected application/json, received '${type}'.`);
  }
  const text = await req.text();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new ServerError('BAD_REQUEST', `body: expected JSON, received ${(error as Error).message}.`);
  }
  return parse(schema, json, name);
}
