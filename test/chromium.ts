/** A real browser for the tests of pages: Debian's Chromium, or another one on the PATH. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

import { describe } from '@jest/globals';
import { chromium, type Browser } from 'playwright-core';

function findChromium(): string | null {
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const files = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  return files.find((file) => existsSync(file)) ?? null;
}

const executablePath = findChromium();

export function launchChromium(): Promise<Browser> {
  // As root, which containers and CI are, Chromium has no sandbox of its own.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({ executablePath: executablePath!, args });
}

/** A suite that needs the browser; skipped, with the reason in its name, where there is none. */
export function inChromium(name: string, tests: () => void): void {
  if (executablePath) describe(name, tests);
  else describe.skip(`${name} (skipped: no chromium on the PATH; apt-get install chromium)`, tests);
}
