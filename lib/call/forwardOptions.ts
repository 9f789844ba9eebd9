/** The options of `pipeline.forward`. */
import { z } from 'zod';

import type { NativeEdit, NativeHook } from '../native';

import { abortSignal, choice, either, finite, flag, list, strictObject, text, whole } from '../validation/vocabulary';

export const taps = choice(['input', 'output', 'query', 'value', 'attention']);
const indices = (what: string) => z.union([z.null(), list(whole(0), `a list of ${what} indices from 0`)]);
const numbers = z.array(finite(), { error: 'a list of numbers' });
const tensor = z.custom<NonNullable<NativeEdit['source']>>(
  (value) => typeof value === 'object' && value !== null && 'data' in value,
  { error: 'a tensor { data, shape, dtype }' },
);

/** An edit as the native side takes it; where it leaves out path, tap or stream, those of its hook. */
const hookEditSchema = strictObject({
  path: text().optional(),
  tap: taps.optional(),
  stream: text().nullable().optional(),
  operation: choice(['retain', 'mean', 'affine', 'transplant', 'skip', 'shuffle', 'identity', 'blur', 'match']),
  /** Default null: all. */
  channels: indices('channel').default(null),
  /** Default null: all. */
  tokens: indices('token').default(null),
  /** ρ of `retain`: one number, in a list. Default 0. */
  retention: numbers.optional(),
  scale: numbers.optional(),
  shift: numbers.optional(),
  source: tensor.optional(),
  reference: list(whole(0), 'a list of channel indices from 0').optional(),
  sigma: either([finite(0.01, 10_000), z.literal(Infinity)], 'a number from 0.01 to 10000, or Infinity,').optional(),
  grid: z.tuple([whole(1), whole(1)], { error: 'rows and columns of the token grid' }).optional(),
  seed: whole(0).optional(),
});

const hookSchema = strictObject({
  /** Path pattern of submodules: `blocks.3`; `*` is one component, `**` any number of them. */
  path: text(),
  /** Default output. */
  tap: taps.default('output'),
  /** Default null: every stream. */
  stream: text().nullable().default(null),
  /** Give the hidden states, as they arrive, in the result. Default: when there are no edits. */
  capture: flag().optional(),
  /** Default: none. */
  edits: z.array(hookEditSchema, { error: 'a list of edits' }).default([]),
});

export const forwardSchema = strictObject({
  /** Sites to capture or edit during this one call. Default: none. */
  hooks: z.array(hookSchema, { error: 'a list of hooks' }).default([]),
  signal: abortSignal().optional(),
});

export type ForwardOptions = z.input<typeof forwardSchema>;

/** The hook with what its edits leave out. */
export function completeHook({ path, tap, stream, capture, edits }: z.output<typeof hookSchema>): NativeHook {
  return {
    path,
    tap,
    stream,
    capture: capture ?? edits.length === 0,
    edits: edits.map((edit): NativeEdit => {
      const place = {
        path: edit.path ?? path,
        tap: edit.tap ?? tap,
        stream: edit.stream === undefined ? stream : edit.stream,
      };
      const retention = edit.operation === 'retain' ? { retention: edit.retention ?? [0] } : {};
      return { ...edit, ...place, ...retention };
    }),
  };
}
