/** Where `--out` puts pictures: a file, several numbered ones, a folder, or stdout. */
import { statSync } from 'node:fs';
import { join, parse as parsePath, resolve, sep } from 'node:path';

import { unwritable } from '../files/atomic';
import { mostImages } from '../request/generateOptions';
import { invalid } from '../validation/invalid';

/** The name of a picture in a folder. */
const inFolder = 'sample.png';

export interface PictureOutput {
  /** A path for each picture; empty for stdout. */
  files: string[];
  /** One picture to stdout. */
  isStdout: boolean;
  /** Whether a video is one file, an animated PNG, and not a folder of its frames. */
  isAnimated: boolean;
}

/**
 * `cat.png` for one picture; `cat-0.png`, `cat-1.png`, … for several; `sample.png` in a folder that exists or whose name
 * ends in a slash; `-` is stdout. `cat.apng` and `-` ask for a video in one file.
 *
 * @throws BAD_OPTION for more pictures than a call makes, another suffix than .png and .apng, and for several pictures, or JSON, to stdout;
 *   OUTPUT_UNWRITABLE for what the file system does not even look at
 */
export function pictureOutput(out: string, count: number, json: boolean): PictureOutput {
  if (count > mostImages) throw invalid('--num-images', `a whole number from 1 to ${mostImages}`, count);
  if (out === '-') {
    if (count > 1) throw invalid('--out', 'one picture for stdout', count, { shown: `${count} pictures` });
    if (json) throw invalid('--out', "a file beside --json, which is printed to stdout, where '-' is", out);
    return { files: [], isStdout: true, isAnimated: true };
  }
  const isFolder = out.endsWith('/') || out.endsWith(sep) || isFolderNow(out);
  const { dir, name, ext } = parsePath(resolve(isFolder ? join(out, inFolder) : out));
  const isAnimated = ext.toLowerCase() === '.apng';
  if (ext !== '' && ext.toLowerCase() !== '.png' && !isAnimated) {
    throw invalid('--out', 'a name that ends in .png, or .apng for a video, a folder, or - for stdout', out);
  }
  const numbers = count === 1 ? [''] : Array.from({ length: Math.max(1, count) }, (_, index) => `-${index}`);
  return { files: numbers.map((number) => join(dir, `${name}${number}${ext || '.png'}`)), isStdout: false, isAnimated };
}

/** @throws OUTPUT_UNWRITABLE: through a file, a folder that this user may not enter, too long a name */
function isFolderNow(out: string): boolean {
  try {
    return statSync(out, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch (cause) {
    throw unwritable(out, cause);
  }
}
