/**
 * Files inside Electron's asar archives. JavaScript reads them where they are, since Electron's own `fs` does; libtorch
 * and the system's loader know files only, and read the copies that a packager leaves in the folder beside the archive.
 */
import { existsSync, statSync } from 'node:fs';

import type { ErrorCode } from '../validation/errors';
import { invalid } from '../validation/invalid';

/** The archive of a path such as `/opt/app/resources/app.asar/models/embedded`, and the place in it. */
function split(path: string): { archive: string; place: string } | null {
  const [, archive, place] = /^(.*?\.asar)([\\/].*)$/.exec(path) ?? [];
  if (archive === undefined || place === undefined) return null;
  // Electron's fs takes an archive for a folder; without Electron a folder of such a name is one.
  return !process.versions.electron && isFolder(archive) ? null : { archive, place };
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    // Whoever reads it says why.
    return false;
  }
}

/** Where something that may be in an archive lies on the disk; a path that is in none, or was left in it, as it is. */
export function unpacked(path: string): string {
  const inside = split(path);
  const beside = inside && `${inside.archive}.unpacked${inside.place}`;
  return beside !== null && existsSync(beside) ? beside : path;
}

/**
 * The same for what libtorch is to read.
 *
 * @param what it is, as the error calls it
 * @throws an error with `code` for what is inside an archive and not beside it
 */
export function requireUnpacked(path: string, what: string, code: ErrorCode): string {
  const place = unpacked(path);
  const inside = split(place);
  if (!inside) return place;
  const pattern = `**${inside.place.replaceAll('\\', '/')}/**`;
  throw invalid(what, `files on the disk, such as ${inside.archive}.unpacked${inside.place}`, path, {
    code,
    shown: `what is packed inside ${inside.archive}`,
    note: `tell the packager to leave it out of the archive: asarUnpack: '${pattern}' for electron-builder, unpackDir for Electron Forge`,
  });
}
