'use strict';
// `npm run test:libtorch -- 2.15.0`: builds the addon against another libtorch, in a folder of its own in the cache,
// and runs the C++ tests and the TypeScript tests with it. The ordinary build and environment stay as they are.

const path = require('node:path');
const { cacheFolder } = require('../setup/cache.cjs');
const { SUPPORTED } = require('../setup/libtorch.cjs');
const { say } = require('../setup/steps.cjs');

const [version] = process.argv.slice(2);
if (version && /^2\.\d+\.\d+$/.test(version)) {
  // Before anything reads them: where torch is looked for and what is installed, and where the build goes.
  process.env.DETAIL_GUIDANCE_TORCH = version;
  process.env.DETAIL_GUIDANCE_BUILD = path.join(cacheFolder(), `build-torch-${version}`);
  process.env.LIBTORCH_USE_PYTORCH = '0';
  for (const name of ['LIBTORCH', 'LIBTORCH_INCLUDE', 'LIBTORCH_LIB']) delete process.env[name];
  const { COMMANDS } = require('./run.cjs');
  COMMANDS.test?.(['ctest', 'jest']).then(
    (status) => {
      process.exitCode = status;
    },
    (error) => {
      say(error.message);
      process.exitCode = 1;
    },
  );
} else {
  say(`Which libtorch? npm run test:libtorch -- 2.15.0 (from ${SUPPORTED.join(' to ')})`);
  process.exitCode = 1;
}
