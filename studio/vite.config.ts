/** Builds the page into dist/studio, where `detail-guidance studio` serves it from. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { defineConfig } from 'vite';

import { docstrings } from './docstrings.ts';

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8')) as {
  version: string;
};

export default defineConfig({
  root: import.meta.dirname,
  // Relative addresses: the page may be served below a path, or read from a folder by a desktop application.
  base: './',
  plugins: [docstrings()],
  define: { __VERSION__: JSON.stringify(version) },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: join(import.meta.dirname, '..', 'dist', 'studio'),
    emptyOutDir: true,
    target: 'es2022',
    // The plotting library is a file of its own, loaded when the first plot is drawn.
    chunkSizeWarningLimit: 700,
    assetsInlineLimit: 0,
    // What is bundled is also published, so its licences go with it.
    license: { fileName: 'licences.md' },
  },
  logLevel: 'warn',
});
