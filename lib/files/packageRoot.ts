/** The folder of this package, wherever its code runs from: lib/ (tests), dist/ (installed), an application's bundle. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { DetailGuidanceError } from '../validation/errors';

const NAME = 'detail-guidance';

let root: string | undefined;

/**
 * The folder that has this package's package.json. In an Electron application it may be inside an asar archive: whatever
 * reads it but JavaScript goes through `unpacked` (unpacked.ts).
 *
 * @throws ADDON_NOT_BUILT where the package's files are not on the disk: in a bundle that left them behind
 */
export function packageRoot(): string {
  root ??= findRoot();
  return root;
}

/** Where this code lies: lib/files, dist, or an application's bundle. */
function here(): string {
  // Not at import time, and either of the two may be missing: a bundler turns one module format into the other. A global
  // __dirname is not this file's: '.' in `node -e` and in workers of code.
  const isOwn = typeof __dirname === 'string' && __dirname !== (globalThis as { __dirname?: string }).__dirname;
  return isOwn ? __dirname : dirname(fileURLToPath(import.meta.url));
}

function findRoot(): string {
  const start = here();
  for (let folder = start; ; folder = dirname(folder)) {
    if (isOurs(join(folder, 'package.json'))) return folder;
    if (folder === dirname(folder)) break;
  }
  // In a bundle: the package is still whole in node_modules, if it is there.
  try {
    return dirname(createRequire(join(start, 'bundle.js')).resolve(`${NAME}/package.json`));
  } catch (cause) {
    throw new DetailGuidanceError(
      'ADDON_NOT_BUILT',
      `${NAME} was bundled into ${start}, and its own files (the native addon, the embedded model) are not to be found ` +
        `from there: mark '${NAME}' as external in the bundler and install it beside the bundle.`,
      { received: start, expected: `${NAME} in a node_modules folder at or above it`, cause },
    );
  }
}

function isOurs(file: string): boolean {
  if (!existsSync(file)) return false;
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as { name?: unknown }).name === NAME;
  } catch {
    return false;
  }
}
