import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import { buildSync } from 'esbuild';
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
      const copied = ['dejavu-fonts-ttf', '@resvg/resvg-wasm'].map((name) => join('node_modules', name));
      // The two formats are built at the same time, and neither waits for the folder.
      mkdirSync('dist', { recursive: true });
      const texts = [...new Set([...folders, ...copied])].sort().map(licenceOf);
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
  // What a package carries of others has its licence in codec/.
  const files = ['', 'codec'].flatMap((part) => {
    const place = join(folder, part);
    return existsSync(place)
      ? readdirSync(place)
          .filter((entry) => /^licen[cs]e/i.test(entry))
          .map((entry) => join(place, entry))
      : [];
  });
  const text = files.map((file) => readFileSync(file, 'utf8').trim()).join('\n\n');
  return `${'-'.repeat(78)}\n${name} ${version}: ${license}\n\n${text}\n`;
}

/** What lib/files/asset.ts finds: two fonts and three decoders, and not the packages that they come from. */
const assets: Plugin = {
  name: 'files that are read at run time',
  setup(build) {
    build.onEnd(() => {
      mkdirSync('dist/assets', { recursive: true });
      for (const file of [
        'dejavu-fonts-ttf/ttf/DejaVuSans.ttf',
        'dejavu-fonts-ttf/ttf/DejaVuSans-Bold.ttf',
        '@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm',
        '@jsquash/webp/codec/dec/webp_dec.wasm',
        '@resvg/resvg-wasm/index_bg.wasm',
      ])
        cpSync(join('node_modules', file), join('dist/assets', basename(file)));
    });
  },
};

/** The decoders look for their file beside import.meta.url, which CommonJS has not; codec.ts gives them the file itself. */
const codecs: Plugin = {
  name: 'decoders without import.meta',
  setup(build) {
    build.onLoad({ filter: /@jsquash\/.*\.js$/ }, ({ path }) => ({
      contents: `let moduleUrl = 'file:///';${readFileSync(path, 'utf8').replaceAll('import.meta.url', 'moduleUrl')}`,
    }));
  },
};

/** A sandboxed preload script can require nothing but Electron, so each is one file. */
const preload: Plugin = {
  name: 'the preload scripts of lib/electron',
  setup(build) {
    build.onEnd(() => {
      buildSync({
        entryPoints: {
          electronPreload: 'lib/electron/preloadScript.ts',
          electronStudioPreload: 'lib/electron/studioPreloadScript.ts',
        },
        outdir: 'dist',
        outExtension: { '.js': '.cjs' },
        bundle: true,
        format: 'cjs',
        platform: 'node',
        target: 'node20',
        external: ['electron'],
      });
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
    electron: 'lib/electron/index.ts',
    'electron-preload': 'lib/electron/preload.ts',
    electronProcess: 'lib/electron/process.ts',
    pictureWorker: 'lib/aside/worker.ts',
    check: 'lib/check/child.ts',
    mappedLibraries: 'lib/packaging/mapped.ts',
    cli: 'lib/cli/index.ts',
  },
  format: ['esm', 'cjs'],
  dts: {
    entry: {
      index: 'lib/index.ts',
      analysis: 'lib/analysis/index.ts',
      evaluation: 'lib/evaluation/index.ts',
      server: 'lib/server/index.ts',
      electron: 'lib/electron/index.ts',
      'electron-preload': 'lib/electron/preload.ts',
    },
  },
  target: 'node20',
  platform: 'node',
  clean: true,
  splitting: true,
  // The devDependencies that lib imports are bundled: plot, linkedom and ml-matrix are used in part, fast-png is ESM only.
  esbuildPlugins: [licences, assets, codecs, preload],
  external: ['electron'],
  // CommonJS has no import.meta, and tsup would leave it there: packageRoot.ts takes the one that its format has.
  esbuildOptions: (options, { format }) => {
    if (format === 'cjs') options.define = { ...options.define, 'import.meta.url': 'undefined' };
  },
});
