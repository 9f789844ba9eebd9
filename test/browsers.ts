/** Real browsers: Debian's Chromium and Firefox, or others on the PATH. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

import { chromium, firefox, type Browser } from 'playwright-core';

function find(names: readonly string[]): string | null {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const files = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  return files.find((file) => existsSync(file)) ?? null;
}

export const chromiumPath = find(['chromium', 'chromium-browser', 'google-chrome']);
export const firefoxPath = find(['firefox-esr', 'firefox']);

export function launchChromium(): Promise<Browser> {
  // As root, which containers and CI are, Chromium has no sandbox of its own.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({ executablePath: chromiumPath!, args });
}

/** Driven by WebDriver BiDi, which every Firefox speaks; playwright-core 1.65 asks for more of it than the ESR has. */
export function launchFirefox(): Promise<Browser> {
  return firefox.launch({ channel: 'moz-firefox', executablePath: firefoxPath! });
}
