import { defineConfig } from 'tsup';

/**
 * The checks, the benchmark and the command line with all packages in them, so that a GPU machine needs no npm: beside
 * them only the addon, setup/ and, for the benchmark, Python with torch.
 */
export default defineConfig({
  entry: { checks: 'bench/cuda/checks.ts', benchmark: 'bench/main.ts', 'detail-guidance': 'lib/cli/index.ts' },
  outDir: 'build/bench-cuda',
  format: ['cjs'],
  target: 'node20',
  platform: 'node',
  splitting: false,
  silent: true,
  noExternal: [/^[^./]/],
  esbuildPlugins: [
    {
      name: 'setup-stays-outside',
      setup(build) {
        build.onResolve({ filter: /\/setup\/[\w-]+\.cjs$/ }, (request) => ({
          path: `../../setup/${request.path.split('/').pop() ?? ''}`,
          external: true,
        }));
      },
    },
  ],
});
