'use strict';

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  transform: {
    '/@jsquash/.*\\.js$': '<rootDir>/test/importMeta.cjs',
    '\\.m?[jt]sx?$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } },
    ],
  },
  // These packages are ESM only.
  transformIgnorePatterns: ['/node_modules/(?!(fast-png|iobuffer|fflate|entities|@jsquash)/)', '\\.cjs$'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  // Jest's own workers do not share libtorch's thread pool; two cores, one model at a time.
  maxWorkers: 2,
  testTimeout: 300000,
  // Nothing is left open then, but libtorch takes half a second to leave a process on a busy machine: Jest's own patience.
  workerGracefulExitTimeout: 10000,
};
