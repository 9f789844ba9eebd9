/** This package's version, from its package.json. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { packageRoot } from './packageRoot';

let known: string | undefined;

/** A function, since a bundled copy has no package.json to read before it is asked for. */
export function version(): string {
  known ??= (JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string }).version;
  return known;
}
