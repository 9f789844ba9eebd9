import { defineConfig } from 'tsup';

/** The entry points that exist (the command line is its own file in dist). */
export default defineConfig({
  entry: {
    index: 'lib/index.ts',
    server: 'lib/server/index.ts',
    pngWorker: 'lib/image/pngWorker.ts',
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
  // CommonJS has no import.meta, and tsup would leave it there: packageRoot.ts takes the one that its format has.
  esbuildOptions: (options, { format }) => {
    if (format === 'cjs') options.define = { ...options.define, 'import.meta.url': 'undefined' };
  },
});
