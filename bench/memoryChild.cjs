'use strict';
// Loads a bundle, makes a picture, and prints how far the process's resident memory rose meanwhile, as JSON. A process of
// its own, since what is measured is the peak of the whole process: `node bench/memoryChild.cjs LIBRARY BUNDLE OPTIONS`.

const fs = require('node:fs');
const [library, bundle, options] = process.argv.slice(2);
const { loadPipeline } = require(library);

/** A line of /proc/self/status in bytes. @param {string} name */
function memory(name) {
  const [, kilobytes] = fs.readFileSync('/proc/self/status', 'utf8').match(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm'));
  return Number(kilobytes) * 1024;
}

/** How far the resident memory rises at most. @param {() => Promise<unknown>} action */
async function risen(action) {
  fs.writeFileSync('/proc/self/clear_refs', '5'); // VmHWM starts anew
  const before = memory('VmRSS');
  const result = await action();
  return { result, bytes: memory('VmHWM') - before };
}

async function main() {
  // Addon, libtorch and what they set up the first time are no part of it.
  await (await loadPipeline('embedded', { device: 'cpu' })).dispose();
  const { result: pipeline, bytes: loading } = await risen(() => loadPipeline(bundle, { device: 'cpu' }));
  const { bytes: running } = await risen(() => pipeline.generate(JSON.parse(options)));
  console.log(JSON.stringify({ loading, running, weights: pipeline.size.bytes }));
  await pipeline.dispose();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
