/** The words of `bundle.json`'s schema. */
import { z } from 'zod';

import { printable } from '../validation/errors';
import { nearest } from '../validation/vocabulary';

/** An object that refuses unknown keys, except those that begin with `x-`: notes, which are kept and have no type. */
export function closed<Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape, z.core.$strip> {
  const noted = z.looseObject(shape).superRefine((value, context) => {
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(shape, key) && !key.startsWith('x-')) {
        context.addIssue({
          code: 'unrecognized_keys',
          keys: [key],
          input: value,
          message: nearest(key, Object.keys(shape)),
        });
      }
    }
  });
  return noted as unknown as z.ZodObject<Shape, z.core.$strip>;
}

export const count = z.int().min(1);
export const index = z.int().min(0);

/** Tokens of a text, and what else is as long as it. */
export const tokenCount = z.int().min(1).max(65_536);

/** What people read of a bundle: nothing in it that a terminal takes for an order. */
export const prose = z
  .string()
  .max(100_000)
  .refine((text) => printable(text) === text, 'a text without control characters');

/** A label, which may be empty. */
export const label = z
  .string()
  .max(1000)
  .refine((text) => printable(text) === text && !/[\n\t]/.test(text), 'a line without control characters');

/** A name. */
export const line = label.min(1);
export const fileName = line;

/** What black and white are. */
export const blackAndWhite = z
  .tuple([z.number().min(-1e6).max(1e6), z.number().min(-1e6).max(1e6)])
  .refine(([black, white]) => Math.abs(white - black) >= 1e-6, 'two different numbers');

/** Dtypes of weights on disk. */
export const weightDtype = z.enum(['float32', 'float16', 'bfloat16', 'float64']);

/** A TorchScript file with weights, beside the transformer. */
export const componentSchema = closed({ file: fileName, dtype: weightDtype });
