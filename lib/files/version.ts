/** This package's version, from its package.json. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { packageRoot } from './packageRoot';

export const version = (JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string })
  .version;
