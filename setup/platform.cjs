'use strict';
// Where PyTorch has a build at all.

const fs = require('node:fs');

/** Alpine and others whose C library is musl. */
function isMusl() {
  if (process.platform !== 'linux') return false;
  const report = /** @type {any} */ (process.report?.getReport());
  if (report?.header) return !report.header.glibcVersionRuntime;
  return fs.existsSync('/etc/alpine-release');
}

/** @param {string} [platform] @param {string} [arch] @param {boolean} [musl] @returns {string | null} why there is no PyTorch to install, as a sentence's end */
function platformReason(platform = process.platform, arch = process.arch, musl = isMusl()) {
  if (musl)
    return 'this system is built on musl (Alpine), and PyTorch has builds for glibc only (Debian, Ubuntu, Fedora)';
  const places = ['linux-x64', 'linux-arm64', 'darwin-arm64', 'win32-x64'];
  return places.includes(`${platform}-${arch}`) ? null : `PyTorch has no build for ${platform}-${arch}`;
}

module.exports = { isMusl, platformReason };
