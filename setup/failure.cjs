'use strict';

/** Set-up cannot go on: what was wrong, what was looked at, and every way out. `code` is `SETUP_FAILED`. */
class SetupError extends Error {
  /**
   * @param {string} problem one sentence
   * @param {{ found?: string[], waysOut?: string[], cause?: unknown }} [details]
   */
  constructor(problem, { found = [], waysOut = [], cause } = {}) {
    const lines = [problem];
    if (found.length) lines.push('What was looked at:', ...found.map((line) => `  - ${line}`));
    if (waysOut.length) lines.push('Ways out, any one of them:', ...waysOut.map((line, i) => `  ${i + 1}. ${line}`));
    super(lines.join('\n'), { cause });
    this.name = 'SetupError';
    this.code = 'SETUP_FAILED';
    this.found = found;
    this.waysOut = waysOut;
  }
}

/** What the file system refuses, in words. */
const REFUSALS = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  ENOTDIR: 'a part of its path is a file and no folder',
  EEXIST: 'there is a file of that name',
  EROFS: 'that file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota of this user is used up',
  ELOOP: 'its links lead round in a circle',
  ENAMETOOLONG: 'the name is too long',
};

/**
 * An error as the user is to read it: a refusal of the file system becomes a SetupError with its ways out.
 * @param {unknown} error
 * @returns {Error}
 */
function explain(error) {
  const { code = '', path = '', syscall } = /** @type {NodeJS.ErrnoException} */ (error ?? {});
  const refusal =
    code === 'ENOENT' && syscall === 'mkdir'
      ? 'no folder can be made there'
      : REFUSALS[/** @type {keyof typeof REFUSALS} */ (code)];
  if (error instanceof SetupError || !refusal) return error instanceof Error ? error : new Error(String(error));
  return new SetupError(`${path || 'A file'} cannot be written: ${refusal}.`, {
    waysOut: [
      'DETAIL_GUIDANCE_CACHE=/elsewhere puts the cache where this user may write and there is room',
      'work in a copy of your own: git clone, or npm install in a folder of yours',
    ],
    cause: error,
  });
}

module.exports = { SetupError, explain };
