/** The part of `bundle.json` that says how a prompt becomes the tensors of the transformer's inputs. */
import { z } from 'zod';

import { closed, count, fileName, index, weightDtype } from './closed';

const tokenizerSchema = closed({
  /** A `tokenizer.json` of the tokenizers library. */
  file: fileName,
  /**
   * What surrounds the text: `clip` start and end, `t5` the end alone. A text that is too long is cut so that they
   * stay; a shorter one is padded at its end.
   */
  kind: z.enum(['clip', 't5']),
  /** Tokens in all. Without it, as many as the call's `maxSequenceLength`. */
  maxLength: count.optional(),
  padId: index,
  /** For `clip`. */
  startId: index.optional(),
  endId: index,
  /**
   * What is done to the prompt first. `lower`: lower case, no white space at the ends (PixArt). `html`: HTML entities
   * undone twice, white space collapsed (Wan). Default none.
   */
  cleaning: z.enum(['none', 'lower', 'html']).default('none'),
});

export const textEncoderSchema = closed({
  file: fileName,
  /** Dtype of the weights on disk. */
  dtype: weightDtype,
  /** Arguments of forward(), int64 [batch, tokens]. */
  inputs: z.array(z.enum(['ids', 'mask'])).min(1),
  /** What it returns, in order: the wanted hidden state [batch, tokens, width], the pooled one [batch, pooledWidth]. */
  outputs: z.array(z.enum(['sequence', 'pooled'])).min(1),
  width: count.optional(),
  pooledWidth: count.optional(),
  /** Rows of the token embedding. */
  vocabularySize: count,
  tokenizer: tokenizerSchema,
});

/** A tensor made of what the encoders give, of the size of the picture, or of nothing. */
export type Expression =
  /** An encoder's output, or its attention mask. `zeroPadding`: rows of padding tokens become 0. */
  | { from: string; output: 'sequence' | 'pooled' | 'mask'; zeroPadding?: boolean | undefined }
  /** One after the other along the tokens or the channels, the channels filled with zeros up to `padTo`. */
  | { join: 'tokens' | 'channels'; of: Expression[]; padTo?: number | undefined }
  /** In place of an encoder that the checkpoint lacks. */
  | { zeros: { tokens: number | 'maxSequenceLength'; channels: number } }
  | PositionExpression
  /** Of the picture, in pixels: [height, width], or [height / width]. */
  | { size: 'resolution' | 'aspect-ratio' };

/** Position ids: the same for every image. */
export type PositionExpression =
  /** [rows × columns, axes]: (0, row, column), row by row. */
  | { positions: 'grid'; axes: number }
  /** [tokens, axes]: zeros, for the tokens of another input. */
  | { positions: 'zeros'; axes: number; like: string };

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

export const textConditioningSchema = closed({
  kind: z.literal('text'),
  /** Tokens of the encoders whose tokenizer has no length of its own. */
  maxSequenceLength: closed({ default: count, maximum: count }).optional(),
  /** For every input of the transformer that is neither latent, timestep nor guidance. */
  inputs: z.record(z.string(), expressionSchema),
});

export type TextEncoderManifest = z.output<typeof textEncoderSchema>;
export type TokenizerManifest = TextEncoderManifest['tokenizer'];
export type TextConditioning = z.output<typeof textConditioningSchema>;
