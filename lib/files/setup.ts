/**
 * The modules of setup/ that are needed at run time. They are loaded from the package's folder when they are asked for,
 * so that a bundler leaves them where they are.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';

import type * as addon from '../../setup/addon.cjs';
import type * as cache from '../../setup/cache.cjs';
import type * as exporter from '../../setup/exporter.cjs';
import type * as libtorch from '../../setup/libtorch.cjs';
import type * as lock from '../../setup/lock.cjs';
import type * as python from '../../setup/python.cjs';
import type * as setupCommand from '../../setup/setup.cjs';
import type * as toolchain from '../../setup/toolchain.cjs';

import { packageRoot } from './packageRoot';

interface SetupModules {
  addon: typeof addon;
  cache: typeof cache;
  exporter: typeof exporter;
  libtorch: typeof libtorch;
  lock: typeof lock;
  python: typeof python;
  setup: typeof setupCommand;
  toolchain: typeof toolchain;
}

export function setup<Name extends keyof SetupModules>(name: Name): SetupModules[Name] {
  const require = createRequire(join(packageRoot(), 'package.json'));
  return require(`./setup/${name}.cjs`) as SetupModules[Name];
}
