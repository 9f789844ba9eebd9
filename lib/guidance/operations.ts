/** What an edit does to the chosen channels and tokens of a hidden state, and with which numbers: one table. */
import { z } from 'zod';

import { either, finite, list, whole } from '../validation/vocabulary';
import type { Tensor } from '../tensor';

import { sigmaSchema } from './blurSigma';
import { channelsSchema } from './channels';
import { retentionSchema } from './retention';

const perChannel = either(
  [finite(), list(finite(), 'a list of numbers')],
  'a number, or a list with one for each channel',
);

const hiddenStates = z.custom<Tensor>((value) => typeof value === 'object' && value !== null && 'data' in value, {
  error: 'a tensor { data, shape, dtype }',
});

/** The parameters of each operation. Their meaning is said at the interfaces of edit.ts. */
export const operations = {
  zero: {},
  retain: { retention: retentionSchema.default(0) },
  mean: {},
  affine: { scale: perChannel.default(1), shift: perChannel.default(0) },
  transplant: { source: hiddenStates },
  skip: {},
  shuffle: { seed: whole(0).default(0) },
  identity: {},
  blur: { sigma: sigmaSchema.default(1) },
  match: { reference: channelsSchema, retention: retentionSchema.default(0) },
} as const;

export type Operation = keyof typeof operations;

export const operationNames = Object.keys(operations) as Operation[];

/** The operations that have a parameter; none for what is no parameter at all. */
export function operationsWith(parameter: string): Operation[] {
  return operationNames.filter((name) => Object.hasOwn(operations[name], parameter));
}
