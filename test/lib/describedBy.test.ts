/** Interfaces and schemas cannot drift: what one of them lacks does not compile. `tsc` checks the marked lines. */
import { expect, test } from '@jest/globals';
import { z } from 'zod';

import { describedBy, gives } from '../../lib/validation/describedBy';

interface Options {
  size?: number;
  name: string;
}

test('the schema is handed through', () => {
  const schema = z.object({ size: z.number().default(1), name: z.string() });
  expect(describedBy<Options>()(schema)).toBe(schema);
  expect(gives<{ size: number; name: string }>()(schema)).toBe(schema);
});

test('what does not agree is an error of the compiler', () => {
  // @ts-expect-error the schema lacks an optional field
  describedBy<Options>()(z.object({ name: z.string() }));
  // @ts-expect-error the interface lacks an optional field
  describedBy<Options>()(z.object({ size: z.number().optional(), name: z.string(), more: z.string().optional() }));
  // @ts-expect-error what may be left out has to be given
  describedBy<Options>()(z.object({ size: z.number(), name: z.string() }));
  // @ts-expect-error another type
  describedBy<Options>()(z.object({ size: z.string().default(''), name: z.string() }));
  // @ts-expect-error a default is always given
  gives<Options>()(z.object({ size: z.number().default(1), name: z.string() }));
});
