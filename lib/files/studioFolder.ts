/** The studio's page. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { DetailGuidanceError } from '../validation/errors';

import { packageRoot } from './packageRoot';

/**
 * Folder where the build puts the studio's page: what `page` of `createServer` and `startServer` takes.
 *
 * @throws ADDON_NOT_BUILT where it was not built
 */
export function studioFolder(): string {
  const folder = join(packageRoot(), 'dist', 'studio');
  if (existsSync(join(folder, 'index.html'))) return folder;
  throw new DetailGuidanceError('ADDON_NOT_BUILT', `The studio's page is not in ${folder}: npm run build makes it.`, {
    received: folder,
  });
}
