/** Which of a libtorch's libraries an application has to ship. */
import { fork } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';

import { packageRoot } from '../files/packageRoot';
import type { Libtorch } from '../files/libtorch';
import { DetailGuidanceError, wrapNative } from '../validation/errors';

/** What the process of mapped.ts answers. */
export type MappedLibraries = { libtorch: Libtorch; files: string[] } | { failure: { code?: string; message: string } };

/** A library to ship. */
export interface Library {
  /** Where it is. */
  path: string;
  /** The name by which others ask for it. */
  name: string;
  /** Its size. */
  bytes: number;
}

/** What every system has, and what comes with the graphics driver. */
const ofTheSystem =
  /^(ld-linux.*|linux-vdso|lib(c|m|dl|rt|pthread|util|resolv|stdc\+\+|gcc_s|cuda|nvidia-.*))\.so(\.\d+)*$/;

/** Loaded by name when a GPU asks for them: convolutions (cuDNN), and kernels that are compiled while a model runs. */
const loadedLater = /^lib(cudnn_\w+|nvrtc(-builtins)?|caffe2_nvrtc)\.so/;

/**
 * The libraries of the libtorch that the addon runs with: all that are in memory once it is loaded, and of a CUDA build
 * those that only a GPU makes it load.
 *
 * @param env of the process that looks
 * @returns `system`: names of those that are not libtorch's own, and that the system of whoever runs it has to have
 * @throws ADDON_NOT_BUILT, LIBTORCH_NOT_FOUND, LIBTORCH_MISMATCH
 */
export async function findLibraries(
  env: NodeJS.ProcessEnv = process.env,
): Promise<{ libtorch: Libtorch; libraries: Library[]; system: string[] }> {
  const { libtorch, files } = await lookInProcess(env);
  const brought = files.filter((file) => !ofTheSystem.test(basename(file))).map((file) => resolve(file));
  const own = brought.filter((file) => placesOf(libtorch).some((place) => file.startsWith(place + sep)));
  const system = brought.filter((file) => !own.includes(file)).map((file) => basename(file));
  const later = libtorch.cuda === null ? [] : foldersOf(libtorch, own).flatMap((folder) => inFolder(folder));
  const libraries: Library[] = [];
  for (const path of new Set([...own, ...later])) {
    libraries.push({ path, name: basename(path), bytes: (await stat(path)).size });
  }
  return { libtorch, libraries, system };
}

async function lookInProcess(env: NodeJS.ProcessEnv): Promise<{ libtorch: Libtorch; files: string[] }> {
  const program = join(packageRoot(), 'dist', 'mappedLibraries.cjs');
  if (!existsSync(program)) {
    throw new DetailGuidanceError('ADDON_NOT_BUILT', `${program} is missing; npm run build makes it.`);
  }
  const child = fork(program, [], { env, stdio: ['ignore', 'ignore', 'ignore', 'ipc'], execArgv: [] });
  const answer = await new Promise<MappedLibraries>((fulfil) => {
    const ended = (message: string) => fulfil({ failure: { code: 'LIBTORCH_NOT_FOUND', message } });
    child.once('message', (message) => fulfil(message as MappedLibraries));
    child.once('error', (error) => ended(`The process that loads libtorch could not be started: ${error.message}.`));
    child.once('exit', (code, how) =>
      ended(`libtorch ended the process that loaded it (${how ?? `exit code ${code}`}).`),
    );
    child.send('look');
  });
  if (!('failure' in answer)) return answer;
  throw wrapNative(Object.assign(new Error(answer.failure.message), answer.failure));
}

/** Where a libtorch keeps its libraries: in itself, and as a Python package in those that it depends on. */
const placesOf = ({ path, lib }: Libtorch) => [
  path,
  lib,
  ...['nvidia', 'torch.libs'].map((name) => resolve(path, '..', name)),
];

/** Where libraries that are loaded later may lie: beside those in memory, and where NVIDIA's Python packages put theirs. */
function foldersOf(libtorch: Libtorch, files: string[]): string[] {
  const packages = resolve(libtorch.path, '..', 'nvidia');
  const named = existsSync(packages) ? readdirSync(packages).map((name) => join(packages, name, 'lib')) : [];
  return [...new Set([...files.map((file) => dirname(file)), ...named])].filter((folder) => existsSync(folder));
}

const inFolder = (folder: string) =>
  readdirSync(folder)
    .filter((name) => loadedLater.test(name))
    .map((name) => join(folder, name));
