/** Files of other packages that are read at run time: fonts, WebAssembly. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';

import { packageRoot } from './packageRoot';

/**
 * Where such a file lies: the build copies it into dist/assets, so that its package need not be installed; before a build
 * it lies in its package.
 *
 * @param file its package and its place there: `dejavu-fonts-ttf/ttf/DejaVuSans.ttf`
 */
export function assetPath(file: string): string {
  const copied = join(packageRoot(), 'dist', 'assets', basename(file));
  return existsSync(copied) ? copied : createRequire(join(packageRoot(), 'package.json')).resolve(file);
}
