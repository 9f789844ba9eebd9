'use strict';
// The programs of the npm packages that set-up and checks run.

const path = require('node:path');
const { root } = require('../setup/cache.cjs');

/** Programs of the npm packages, run by this Node rather than by npx. */
const PROGRAMS = {
  tsup: 'tsup/dist/cli-default.js',
  prettier: 'prettier/bin/prettier.cjs',
  eslint: 'eslint/bin/eslint.js',
  depcruise: 'dependency-cruiser/bin/dependency-cruise.mjs',
  tsc: 'typescript/bin/tsc',
  jest: 'jest/bin/jest.js',
  vite: 'vite/bin/vite.js',
};

/** @param {keyof typeof PROGRAMS} name */
const programPath = (name) => path.join(root, 'node_modules', PROGRAMS[name]);

module.exports = { programPath };
