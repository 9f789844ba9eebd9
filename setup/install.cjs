'use strict';
// npm's install script. Downloads and compiles nothing unless DETAIL_GUIDANCE_SETUP=1 asks for it: it says in one line what
// is missing and the one command that gets it. In a clone of the repository it does nothing: `npm run demo` and `npm test`
// build what is missing and show their progress.

const { HOW_TO_BUILD, findAddon } = require('./addon.cjs');
const { isRepository } = require('./cache.cjs');
const { explain } = require('./failure.cjs');
const { say } = require('./steps.cjs');

if (!isRepository) {
  if (process.env.DETAIL_GUIDANCE_SETUP === '1') {
    require('./build.cjs')
      .build()
      .catch((error) => {
        say(explain(error).message);
        process.exitCode = 1;
      });
  } else if (!findAddon().folder) {
    say(`detail-guidance: the native addon is missing: ${HOW_TO_BUILD} (DETAIL_GUIDANCE_SETUP=1 does it at install).`);
  }
}
