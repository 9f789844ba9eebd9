/** The name under which a client asks for a bundle. */
import { basename, resolve } from 'node:path';

/** The bundle that comes with the package. */
export const presetBundle = 'embedded';

/**
 * A name for each location: the folder's own, made unique by a number. Names never are paths, so that no request can
 * reach a folder that was not offered.
 */
export function nameBundles(locations: readonly string[]): Map<string, string> {
  const names = new Map<string, string>();
  for (const location of locations) {
    const own = location === presetBundle ? presetBundle : basename(resolve(location));
    let name = own;
    for (let copy = 2; names.has(name); copy++) name = `${own}-${copy}`;
    names.set(name, location);
  }
  return names;
}
