/** The part of `bundle.json` that says how a prompt becomes the tensors of the transformer's inputs. */
import { z } from 'zod';

import { gives } from '../validation/describedBy';

import { closed, count, fileName, index, line, tokenCount, weightDtype } from './schemaWords';
import type { Expression, TextConditioningManifest, TextEncoderManifest } from './manifest';

const tokenizerSchema = closed({
  file: fileName,
  kind: z.enum(['clip', 't5']),
  maxLength: tokenCount.optional(),
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
      from: line,
      output: z.enum(['sequence', 'pooled', 'mask']),
      zeroPadding: z.boolean().optional(),
    }),
    closed({
      join: z.enum(['tokens', 'channels']),
      of: z.array(expressionSchema).min(1),
      padTo: tokenCount.optional(),
    }),
    closed({ zeros: closed({ tokens: z.union([tokenCount, z.literal('maxSequenceLength')]), channels: tokenCount }) }),
    closed({ positions: z.literal('grid'), axes: z.int().min(2).max(64) }),
    closed({ positions: z.literal('zeros'), axes: count.max(64), like: line }),
    closed({ size: z.enum(['resolution', 'aspect-ratio']) }),
  ]),
);

export const textConditioningSchema = gives<TextConditioningManifest>()(
  closed({
    kind: z.literal('text'),
    maxSequenceLength: closed({ default: tokenCount, maximum: tokenCount }).optional(),
    inputs: z.record(line, expressionSchema),
  }),
);
