import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { defineConfig, type Options } from 'tsup';

type Plugin = NonNullable<Options['esbuildPlugins']>[number];

/** What is bundled is also published, so its licences go with it. */
const licences: Plugin = {
  name: 'licences of what is bundled',
  setup(build) {
    build.initialOptions.metafile = true;
    build.onEnd(({ metafile }) => {
      const folders = Object.keys(metafile?.inputs ?? {}).flatMap(
        (file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file) ?? [],
      );
      const texts = [...new Set(folders)].sort().map(licenceOf);
      writeFileSync(
        'dist/licences.txt',
        `What dist/ has bundled of other packages, and their licences.\n\n${texts.join('\n')}`,
      );
    });
  },
};

function licenceOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<
    string,
    string
  >;
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file === undefined ? '' : readFileSync(join(folder, file), 'utf8').trim();
  return `${'-'.repeat(78)}\n${name} ${version}: ${license}\n\n${text}\n`;
}

/** The two fonts of the sheets, and not the twelve megabytes of their package. */
const fonts: Plugin = {
  name: 'fonts of the sheets',
  setup(build) {
    build.onEnd(() => {
      mkdirSync('dist/fonts', { recursive: true });
      const folder = 'node_modules/dejavu-fonts-ttf';
      for (const file of ['LICENSE', 'ttf/DejaVuSans.ttf', 'ttf/DejaVuSans-Bold.ttf'])
        cpSync(join(folder, file), join('dist/fonts', file.replace('ttf/', '')));
    });
  },
};

/** The entry points that exist (the command line is its own file in dist). */
export default defineConfig({
  entry: {
    index: 'lib/index.ts',
    analysis: 'lib/analysis/index.ts',
    evaluation: 'lib/evaluation/index.ts',
    server: 'lib/server/index.ts',
    pngWorker: 'lib/image/pngWorker.ts',
    cli: 'lib/cli/index.ts',
  },
  format: ['esm', 'cjs'],
  dts: {
    entry: {
      index: 'lib/index.ts',
      analysis: 'lib/analysis/index.ts',
      evaluation: 'lib/evaluation/index.ts',
      server: 'lib/server/index.ts',
    },
  },
  target: 'node20',
  platform: 'node',
  clean: true,
  splitting: true,
  // Bundled besides the devDependencies, of which reports and distances need a small part: plot, linkedom, ml-matrix.
  // fast-png is ESM only, so it has to travel inside the CommonJS build.
  noExternal: ['fast-png', 'iobuffer', 'fflate'],
  esbuildPlugins: [licences, fonts],
  // CommonJS has no import.meta, and tsup would leave it there: packageRoot.ts takes the one that its format has.
  esbuildOptions: (options, { format }) => {
    if (format === 'cjs') options.define = { ...options.define, 'import.meta.url': 'undefined' };
  },
});
