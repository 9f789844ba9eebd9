'use strict';
// npm's install script. As a dependency of another package it builds the addon; in a clone of this repository it does
// nothing, because `npm run demo` and `npm test` build what is missing and show their progress.

const { root } = require('./cache.cjs');

if (/[\\/]node_modules[\\/]/.test(root)) {
  const { build } = require('./build.cjs');
  const { say } = require('./steps.cjs');
  build().catch((error) => {
    say(error.message);
    process.exitCode = 1;
  });
}
