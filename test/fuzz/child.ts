/** Runs random cases that may end the process. */
import { answer } from '../hostile/answer';

import { runCase } from './cases';
import type { Kind } from './kinds';
import { callersOwn } from './values';

answer(async ({ kind, seed }: { kind: Kind; seed: number }) => {
  try {
    return await runCase(kind, seed);
  } catch (error) {
    // What a callback of the caller throws is theirs, and is theirs again.
    if (error instanceof Error && error.message === callersOwn) return 'ok';
    throw error;
  }
});
