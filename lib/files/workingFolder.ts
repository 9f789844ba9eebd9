/** The folder that relative paths start from, which may have been removed under a process. */
import { existsSync } from 'node:fs';

import { DetailGuidanceError } from '../validation/errors';

/** @throws BAD_OPTION where it is no longer there: libtorch's libraries would end the process instead of loading */
export function requireWorkingFolder(): void {
  let folder = process.env.PWD ?? '';
  try {
    folder = process.cwd();
    if (existsSync(folder)) return;
  } catch {
    // What a shell calls it is all that is left.
  }
  throw new DetailGuidanceError(
    'BAD_OPTION',
    `The working folder ${folder} is no longer there: start from one that is.`,
    {
      received: folder,
      expected: 'a working folder that exists',
    },
  );
}
