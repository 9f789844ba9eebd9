/** How wide a Gaussian blur over the token grid is. */
import { z } from 'zod';

import { either, finite } from '../validation/vocabulary';

/** Standard deviation in tokens; infinity is the mean. zod's numbers are finite ones, to which infinity is added. */
export const sigmaSchema = either(
  [finite(0.01, 10_000), z.literal(Infinity)],
  'a number from 0.01 to 10000, or Infinity',
);
