/** The declarations of the packed package: right uses compile and wrong ones do not, as an application may be set up. */
import { execFileSync } from 'node:child_process';
import { cp, mkdir, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { root } from '../../setup/cache.cjs';

import { Application } from './application';

let application: Application;
beforeAll(async () => {
  application = await Application.install();
  const modules = join(application.folder, 'node_modules');
  await symlink(join(root, 'node_modules', 'expect-type'), join(modules, 'expect-type'), 'dir');
  await cp(join(__dirname, 'types'), application.folder, { recursive: true });
}, 60_000);
afterAll(() => application.remove());

/** What the compiler complains about. */
function compile(): string {
  try {
    execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc')], {
      cwd: application.folder,
      encoding: 'utf8',
    });
    return '';
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

/** With @types/node there or not: a browser's types have what the declarations need as well. */
async function setUp(options: object, node: boolean): Promise<void> {
  const types = join(application.folder, 'node_modules', '@types');
  await rm(types, { recursive: true, force: true });
  if (node) {
    await mkdir(types, { recursive: true });
    await symlink(join(root, 'node_modules', '@types', 'node'), join(types, 'node'), 'dir');
  }
  const lib = ['es2023', ...(node ? [] : ['dom'])];
  const compilerOptions = { target: 'es2022', lib, strict: true, noEmit: true, ...options };
  await application.write('tsconfig.json', JSON.stringify({ compilerOptions, include: ['*.mts'] }));
}

describe.each([
  ['node16', 'node16'],
  ['nodenext', 'nodenext'],
  ['esnext', 'bundler'],
])('module %s, moduleResolution %s', (module, moduleResolution) => {
  test.each([
    ['with skipLibCheck', true, true],
    ['without skipLibCheck', false, true],
    ["without skipLibCheck, with a browser's types in place of @types/node", false, false],
  ])(
    '%s',
    async (_name, skipLibCheck, node) => {
      await setUp({ module, moduleResolution, skipLibCheck }, node);
      expect(compile()).toBe('');
    },
    120_000,
  );
});

test('the TypeScript of the guide for desktop tools compiles', async () => {
  await setUp({}, true);
  const guide = await readFile(join(root, 'docs', 'guides', 'desktop.md'), 'utf8');
  const blocks = [...guide.matchAll(/^```ts\n([\s\S]*?)^```/gm)];
  expect(blocks.length).toBeGreaterThan(2);
  for (const [index, [, program]] of blocks.entries()) await application.write(`guide/${index}.mts`, program!);
  // The package has no need of Electron's own declarations; a window is what it asks of one.
  await application.write(
    'guide/electron.d.ts',
    `declare module 'electron' {
       import type { WindowLike } from 'detail-guidance/electron';
       interface Window extends WindowLike { loadFile(file: string): Promise<void>; loadURL(url: string): Promise<void> }
       export const BrowserWindow: new (options: { webPreferences: { preload: string } }) => Window;
       export const app: {
         on(event: 'window-all-closed', listener: () => void): void;
         whenReady(): Promise<void>;
         getPath(name: 'pictures'): string;
         quit(): void;
       };
       export const protocol: {
         registerSchemesAsPrivileged(schemes: { scheme: string; privileges: Record<string, boolean> }[]): void;
         handle(scheme: string, handler: (request: Request) => Response | Promise<Response>): void;
       };
     }`,
  );
  const compilerOptions = { target: 'es2022', module: 'nodenext', lib: ['es2023', 'dom'], strict: true, noEmit: true };
  await application.write('tsconfig.json', JSON.stringify({ compilerOptions, include: ['guide'] }));
  expect(compile()).toBe('');
}, 60_000);

test('the declarations of the root import nothing that an application has to resolve', async () => {
  const folder = join(application.installed, 'dist');
  const seen = new Set<string>();
  const visit = async (file: string): Promise<void> => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = await readFile(join(folder, file), 'utf8');
    for (const [, from] of text.matchAll(/(?:from|import\() ?'([^']+)'/g)) {
      expect([file, from]).toEqual([file, expect.stringMatching(/^\.\/[\w-]+\.js$/)]);
      await visit(from!.slice(2).replace(/\.js$/, '.d.ts'));
    }
  };
  await visit('index.d.ts');
  const texts = await Promise.all([...seen].map((file) => readFile(join(folder, file), 'utf8')));
  const code = texts.flatMap((text) => text.split('\n').filter((line) => !/^\s*(\/\*\*|\*|$)/.test(line)));
  // What a person can read: as much again are comments, none of them about the inside of a source file.
  expect(code.length).toBeLessThan(980);
  expect(texts.join('').split('\n').length).toBeLessThan(2030);
  expect(await readdir(folder)).toEqual(expect.arrayContaining([...seen]));
});

test('no declaration is an expanded schema', async () => {
  for (const door of ['index', 'analysis', 'evaluation', 'server']) {
    const text = await readFile(join(application.installed, 'dist', `${door}.d.ts`), 'utf8');
    expect([door, /\bz\.Zod|from 'zod'/.test(text)]).toEqual([door, false]);
  }
});
