import { defineConfig } from 'tsup';

/** The entry points that exist (the command line is its own file in dist). */
export default defineConfig({
  entry: {
    index: 'lib/index.ts',
    server: 'lib/server/index.ts',
    pngWorker: 'lib/server/pngWorker.ts',
    cli: 'lib/cli/index.ts',
  },
  format: ['esm', 'cjs'],
  dts: { entry: { index: 'lib/index.ts', server: 'lib/server/index.ts' } },
  target: 'node20',
  platform: 'node',
  clean: true,
  splitting: true,
  // ESM only, so it has to travel inside the CommonJS build.
  noExternal: ['fast-png', 'iobuffer', 'fflate'],
  // packageRoot.ts takes the one of the two that its format has.
  esbuildOptions: (options) => {
    options.logOverride = { 'empty-import-meta': 'silent' };
  },
});
