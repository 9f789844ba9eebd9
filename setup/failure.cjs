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

module.exports = { SetupError };
