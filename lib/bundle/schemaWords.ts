/** The words of `bundle.json`'s schema. */
import { z } from 'zod';

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
export const fileName = z.string().min(1);

/** Dtypes of weights on disk. */
export const weightDtype = z.enum(['float32', 'float16', 'bfloat16', 'float64']);

/** A TorchScript file with weights, beside the transformer. */
export const componentSchema = closed({ file: fileName, dtype: weightDtype });
