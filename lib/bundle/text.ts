/** The part of `bundle.json` that says how a prompt becomes the tensors of the transformer's inputs. */
import { z } from 'zod';

import { gives } from '../validation/describedBy';

import { closed, count, fileName, index, weightDtype } from './schemaWords';
import type { Expression, TextConditioningManifest, TextEncoderManifest } from './manifest';

const tokenizerSchema = closed({
  file: fileName,
  kind: z.enum(['clip', 't5']),
  maxLength: count.optional(),
  padId: index,
  startId: index.optional(),
  endId: index,
  cleaning: z.enum(['none', 'lower', 'html']).default('none'),
});

export const textEncoderSchema = gives<TextEncoderManifest>()(
  closed({
    file: fileName,
    dtype: weightDtype,
    inputs: z.array(z.enum(['ids', 'mask'])).min(1),
    outputs: z.array(z.enum(['sequence', 'pooled'])).min(1),
    width: count.optional(),
    pooledWidth: count.optional(),
    vocabularySize: count,
    tokenizer: tokenizerSchema,
  }),
);

const expressionSchema: z.ZodType<Expression> = z.lazy(() =>
  z.union([
    closed({
      from: z.string().min(1),
      output: z.enum(['sequence', 'pooled', 'mask']),
      zeroPadding: z.boolean().optional(),
    }),
    closed({
      join: z.enum(['tokens', 'channels']),
      of: z.array(expressionSchema).min(1),
      padTo: count.optional(),
    }),
    closed({ zeros: closed({ tokens: z.union([count, z.literal('maxSequenceLength')]), channels: count }) }),
    closed({ positions: z.literal('grid'), axes: z.int().min(2) }),
    closed({ positions: z.literal('zeros'), axes: count, like: z.string().min(1) }),
    closed({ size: z.enum(['resolution', 'aspect-ratio']) }),
  ]),
);

export const textConditioningSchema = gives<TextConditioningManifest>()(
  closed({
    kind: z.literal('text'),
    maxSequenceLength: closed({ default: count, maximum: count }).optional(),
    inputs: z.record(z.string(), expressionSchema),
  }),
);
