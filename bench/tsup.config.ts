import { defineConfig } from 'tsup';

/** The benchmark, the server's load test and the studio's measurements, each as one program; they are not shipped. */
export default defineConfig({
  entry: { main: 'bench/main.ts', server: 'bench/server/main.ts', studio: 'bench/studio/main.ts' },
  outDir: 'build/bench',
  format: ['cjs'],
  target: 'node20',
  platform: 'node',
  splitting: false,
  silent: true,
  // ESM only, so it has to travel inside the CommonJS build.
  external: ['playwright-core'],
  noExternal: ['fast-png', 'iobuffer', 'fflate'],
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
