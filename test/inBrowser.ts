/** Suites of tests that need a real browser; skipped, with the reason in their name, where there is none. */
import { describe } from '@jest/globals';

import { chromiumPath, firefoxPath } from '../scripts/browsers.cjs';

function suiteIn(path: string | null, reason: string) {
  return (name: string, tests: () => void): void => {
    if (path) describe(name, tests);
    else describe.skip(`${name} (skipped: ${reason})`, tests);
  };
}

export const inChromium = suiteIn(chromiumPath, 'no chromium on the PATH; apt-get install chromium');
export const inFirefox = suiteIn(firefoxPath, 'no firefox on the PATH; apt-get install firefox-esr');
