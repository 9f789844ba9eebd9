/** What an evaluation in a folder was begun with: only the same may go on there. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { DetailGuidanceError } from '../validation/errors';
import { invalid, reasonOf } from '../validation/invalid';
import { writeFileAtomic } from '../files/atomic';
import { makeFolder } from '../files/newFolder';

/** Facts that decide what the files in a folder hold, as plain JSON. */
export type State = Record<string, unknown>;

/**
 * Makes the folder of a new evaluation, or checks that one that is there was begun with the same facts.
 *
 * @param file name of the file with the facts
 * @throws OUTPUT_EXISTS when the folder has something in it and `resume` is false; BAD_OPTION when there is nothing to
 *   resume or it was begun with others; OUTPUT_UNWRITABLE
 */
export async function claimFolder(folder: string, file: string, state: State, resume: boolean): Promise<void> {
  const names = await readdir(folder).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return [];
    throw new DetailGuidanceError('OUTPUT_UNWRITABLE', `${folder} cannot be used: ${cause.message}.`, {
      received: cause.code,
      expected: 'a folder, or a name that is free',
      cause,
    });
  });
  if (names.length > 0 && !resume) {
    throw invalid(folder, 'a folder that does not exist or is empty', names.slice(0, 5), {
      code: 'OUTPUT_EXISTS',
      note: '`resume` goes on with an evaluation that is there',
    });
  }
  makeFolder(folder);
  const path = join(folder, file);
  const stored = await readState(path);
  if (stored) return refuseChanges(folder, stored, state);
  if (names.length > 0) {
    throw invalid(folder, 'the folder of an evaluation that was interrupted', names.slice(0, 5), {
      note: `it has no ${file}`,
    });
  }
  await writeFileAtomic(path, jsonBytes(state));
}

export function jsonBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
}

async function readState(path: string): Promise<State | null> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return null;
  try {
    return JSON.parse(text) as State;
  } catch (cause) {
    throw invalid(path, 'JSON of an evaluation that was interrupted', path, {
      shown: 'other text',
      note: reasonOf(cause),
      cause,
    });
  }
}

function refuseChanges(folder: string, stored: State, state: State): void {
  const now = JSON.parse(JSON.stringify(state)) as State;
  const changed = [...new Set([...Object.keys(stored), ...Object.keys(now)])].find(
    (key) => JSON.stringify(stored[key]) !== JSON.stringify(now[key]),
  );
  if (changed === undefined) return;
  const [before, after] = [stored[changed], now[changed]].map((value) => JSON.stringify(value) ?? 'nothing');
  throw invalid(folder, `${changed} ${before}, with which this evaluation was begun`, now[changed], { shown: after! });
}
