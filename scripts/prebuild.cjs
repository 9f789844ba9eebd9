'use strict';
// `npm run prebuild:addon`: builds the addon and lays it where the published package looks for it:
// prebuilds/PLATFORM-ARCH/torch-MINOR-VARIANT/, one such folder for each libtorch it was run with
// (DETAIL_GUIDANCE_TORCH=2.15.0, LIBTORCH=/path). The addon speaks Node-API 8, so one file serves every Node and Electron.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { FILES, prebuiltFolder } = require('../setup/addon.cjs');
const { build } = require('../setup/build.cjs');
const { root, buildFolder } = require('../setup/cache.cjs');
const { explain } = require('../setup/failure.cjs');
const { findLibtorch } = require('../setup/libtorch.cjs');
const { say } = require('../setup/steps.cjs');

async function main() {
  await build();
  const folder = prebuiltFolder(findLibtorch());
  fs.mkdirSync(folder, { recursive: true });
  for (const file of FILES) {
    fs.copyFileSync(path.join(buildFolder(), 'Release', file), path.join(folder, file));
    // Symbols only help whoever has the objects; without a strip program they stay.
    if (file.endsWith('.node')) spawnSync('strip', ['--strip-unneeded', path.join(folder, file)]);
  }
  say(`  ${path.relative(root, folder)}`);
}

main().catch((error) => {
  say(explain(error).message);
  process.exitCode = 1;
});
