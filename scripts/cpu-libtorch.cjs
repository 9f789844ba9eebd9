'use strict';
// `npm run cpu-libtorch -- FOLDER`: what of a CUDA build of libtorch a CPU build of the addon needs, for machines whose
// package index has no CPU build of PyTorch. LIBTORCH=FOLDER builds the addon with it, and packs it. Linux only.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { findLibtorch } = require('../setup/libtorch.cjs');

/** @param {string} file @returns {{ needed: string[], places: string[] }} as its dynamic section says */
function linked(file) {
  const { stdout, status } = spawnSync('readelf', ['-d', file], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`readelf cannot read ${file}; it comes with binutils.`);
  const needed = [...stdout.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name ?? '');
  const places = [...stdout.matchAll(/\(R(?:UN)?PATH\).*\[(.*)\]/g)].flatMap(([, list]) => (list ?? '').split(':'));
  return { needed, places: places.map((place) => path.resolve(place.replace('$ORIGIN', path.dirname(file)))) };
}

/** A library and those of libtorch's own and of CUDA that it needs. @param {string} file @param {Set<string>} libraries */
function gather(file, libraries) {
  if (libraries.has(file)) return;
  libraries.add(file);
  const { needed, places } = linked(file);
  for (const name of needed) {
    const own = places.map((place) => path.join(place, name)).find((candidate) => fs.existsSync(candidate));
    if (own) gather(own, libraries);
  }
}

/** libtorch.so, in which there is nothing but its need for libtorch_cpu; the CUDA build's needs libtorch_cuda. @param {string} lib */
function linkTorch(lib) {
  const flags = '-Wl,-soname,libtorch.so,--no-as-needed,--allow-shlib-undefined,-rpath,$ORIGIN';
  const words = ['-shared', '-o', 'libtorch.so', flags, '-x', 'c', '/dev/null', '-x', 'none', './libtorch_cpu.so'];
  const { status } = spawnSync(process.env.CC ?? 'cc', words, { cwd: lib, stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error('cc did not link libtorch.so.');
}

/** @param {string[]} args */
function main([folder]) {
  if (!folder) throw new Error('Where to? npm run cpu-libtorch -- FOLDER');
  const { lib, include, version, cuda } = findLibtorch();
  if (cuda === null) throw new Error(`${lib} is a CPU build already.`);
  if (fs.existsSync(folder)) throw new Error(`${folder} is there already.`);
  /** @type {Set<string>} */
  const libraries = new Set();
  gather(path.join(lib, 'libtorch_cpu.so'), libraries);
  const to = path.join(folder, 'lib');
  fs.mkdirSync(to, { recursive: true });
  for (const file of libraries) fs.copyFileSync(file, path.join(to, path.basename(file)));
  linkTorch(to);
  fs.symlinkSync(include, path.join(folder, 'include'));
  fs.writeFileSync(path.join(folder, 'version.py'), `__version__ = '${version}'\n`);
  const sizes = [...libraries].map((file) => ({ name: path.basename(file), bytes: fs.statSync(file).size }));
  const total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const { name, bytes } of [...sizes, { name: 'together', bytes: total }]) {
    console.log(`${name}: ${(bytes / 1e6).toFixed(1)} MB`);
  }
}

try {
  main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
