'use strict';
// Loads a bundle and prints how far the process's resident memory rose meanwhile, as JSON. A process of its own, since
// what is measured is the peak of the whole process: `node bench/loadPeakChild.cjs LIBRARY BUNDLE`.

const fs = require('node:fs');
const [library, bundle] = process.argv.slice(2);
const { loadPipeline } = require(library);

/** A line of /proc/self/status in bytes. @param {string} name */
function memory(name) {
  const [, kilobytes] = fs.readFileSync('/proc/self/status', 'utf8').match(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm'));
  return Number(kilobytes) * 1024;
}

async function main() {
  // Addon, libtorch and what they set up the first time are no part of it.
  await (await loadPipeline('embedded', { device: 'cpu' })).dispose();
  fs.writeFileSync('/proc/self/clear_refs', '5'); // VmHWM starts anew
  const before = memory('VmRSS');
  const pipeline = await loadPipeline(bundle, { device: 'cpu' });
  const peak = memory('VmHWM');
  console.log(JSON.stringify({ risen: peak - before, weights: pipeline.size.bytes }));
  await pipeline.dispose();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
