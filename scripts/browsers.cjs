'use strict';
// Real browsers: Debian's Chromium and Firefox, or others on the PATH.

const { existsSync } = require('node:fs');
const path = require('node:path');
const { chromium, firefox } = require('playwright-core');

/** @param {readonly string[]} names @returns {string | null} */
function find(names) {
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  const files = names.flatMap((name) => folders.map((folder) => path.join(folder, name)));
  return files.find((file) => existsSync(file)) ?? null;
}

const chromiumPath = find(['chromium', 'chromium-browser', 'google-chrome']);
const firefoxPath = find(['firefox-esr', 'firefox']);

/** @param {string[]} switches @returns {Promise<import('playwright-core').Browser>} */
function launchChromium(...switches) {
  if (chromiumPath === null) throw new Error('There is no chromium on the PATH: apt-get install chromium.');
  // As root, which containers and CI are, Chromium has no sandbox of its own.
  const args = process.getuid?.() === 0 ? ['--no-sandbox', ...switches] : switches;
  return chromium.launch({ executablePath: chromiumPath, args });
}

/**
 * Driven by WebDriver BiDi, which every Firefox speaks; playwright-core 1.65 asks for more of it than the ESR has.
 *
 * @returns {Promise<import('playwright-core').Browser>}
 */
function launchFirefox() {
  if (firefoxPath === null) throw new Error('There is no firefox on the PATH: apt-get install firefox-esr.');
  return firefox.launch({ channel: 'moz-firefox', executablePath: firefoxPath });
}

module.exports = { chromiumPath, firefoxPath, launchChromium, launchFirefox };
