import { defineConfig } from 'tsup';

/** The entry points that exist (the command line is its own file in dist). */
export default defineConfig({
  entry: { index: 'lib/index.ts', cli: 'lib/cli/index.ts' },
  format: ['esm', 'cjs'],
  dts: { entry: { index: 'lib/index.ts' } },
  target: 'node20',
  platform: 'node',
  shims: true,
  clean: true,
  splitting: true,
  // ESM only, so it has to travel inside the CommonJS build.
  noExternal: ['fast-png', 'iobuffer', 'fflate'],
  esbuildPlugins: [
    {
      // setup/ is shipped beside dist/ as it is: the same code finds libtorch before and after the build.
      name: 'setup-stays-outside',
      setup(build) {
        build.onResolve({ filter: /\/setup\/[\w-]+\.cjs$/ }, (found) => ({
          path: `../setup/${found.path.split('/').pop() ?? ''}`,
          external: true,
        }));
      },
    },
  ],
});
