/** Finds the addon and the libtorch that it was built for, and loads them: the only file that touches the addon. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import type { Libtorch } from '../files/libtorch';
import { packageRoot } from '../files/packageRoot';
import { permissionRefusal } from '../files/permission';
import { setup } from '../files/setup';
import { unpacked } from '../files/unpacked';
import { requireWorkingFolder } from '../files/workingFolder';
import { DetailGuidanceError } from '../validation/errors';

import type { NativeAddon } from './addon';

/** What the build wrote beside the addon. */
export interface BuildInfo {
  libtorchVersion: string;
  libtorchPath: string;
  libtorchLib: string;
  cuda: boolean;
  cudaReason: string | null;
  /** The kernels of native/cuda: for which architectures, and nvcc's version. */
  kernels: { architectures: string; nvcc: string } | null;
  kernelsReason: string | null;
  node: string;
  compiler: string;
  builtAt: string;
}

/** The addon's folder and what it was built for. @throws ADDON_NOT_BUILT */
export function readBuild(): { folder: string; info: BuildInfo } {
  const { HOW_TO_BUILD, findAddon } = setup('addon');
  const { folder, missing, reason } = findAddon();
  if (folder === null) {
    throw new DetailGuidanceError(
      'ADDON_NOT_BUILT',
      `The native addon is not built (${missing} is missing${reason ? `; ${reason}` : ''}): ${HOW_TO_BUILD}.`,
      { received: missing, expected: 'a built addon' },
    );
  }
  return { folder, info: JSON.parse(readFileSync(join(folder, 'build-info.json'), 'utf8')) as BuildInfo };
}

/**
 * The libtorch to run with: the one of the build, or where it has gone.
 *
 * @throws LIBTORCH_NOT_FOUND, LIBTORCH_MISMATCH
 */
export function findLibtorch(info: BuildInfo): Libtorch {
  const { besideApplication, inspect, describeCandidates, searchLibtorch, waysToLibtorch } = setup('libtorch');
  const fits = (candidate: { version: string; cuda: string | null } | null) =>
    candidate !== null &&
    minor(candidate.version) === minor(info.libtorchVersion) &&
    (!info.cuda || candidate.cuda !== null);
  const variable = process.env.LIBTORCH ?? process.env.LIBTORCH_LIB ?? besideApplication();
  if (!variable) {
    const { libtorch } = inspect(info.libtorchPath, { lib: info.libtorchLib, headers: false });
    if (libtorch && fits(libtorch)) return libtorch;
  }
  const { libtorch, candidates } = searchLibtorch({ headers: false });
  if (libtorch && fits(libtorch)) return libtorch;
  const built = `${minor(info.libtorchVersion)}${info.cuda ? ' with CUDA' : ''}`;
  if (libtorch) {
    const description = `${libtorch.version}${libtorch.cuda ? ' with CUDA' : ', a CPU build'}`;
    throw new DetailGuidanceError(
      'LIBTORCH_MISMATCH',
      `The addon was built for libtorch ${built}, and the one found is ${description} (${libtorch.path}): ` +
        `${setup('addon').HOW_TO_BUILD}, which builds it for that one, or set LIBTORCH to a ${built}.`,
      { received: description, expected: built },
    );
  }
  throw new DetailGuidanceError(
    'LIBTORCH_NOT_FOUND',
    [
      `libtorch ${built}, for which the addon was built, was not found.`,
      ...describeCandidates(candidates).map((line) => `  - ${line}`),
      ...waysToLibtorch().map((line, index) => `  ${index + 1}. ${line}`),
    ].join('\n'),
    { expected: built },
  );
}

/** 2.11 of 2.11.0: libtorch keeps its binary interface within a minor version. */
const minor = (version: string) => version.split('.').slice(0, 2).join('.');

function load(): NativeAddon {
  const { folder, info } = readBuild();
  const { lib: libraries } = findLibtorch(info);
  const { libraryFile } = setup('libtorch');
  requireWorkingFolder();
  const { preload } = openAddon(folder, 'preload.node') as { preload(paths: string[]): string | null };
  const failure = preload(
    ['c10', 'torch_cpu', 'c10_cuda', 'torch_cuda', 'torch']
      .map((name) => join(libraries, libraryFile(name)))
      .filter((file) => existsSync(file)),
  );
  if (failure !== null) throw notLoaded(libraries, failure);
  return openAddon(folder, 'detail_guidance.node') as NativeAddon;
}

/** @throws ADDON_NOT_BUILT where the dynamic linker refuses it: built for another C library, damaged */
function openAddon(folder: string, name: string): unknown {
  const require = createRequire(join(packageRoot(), 'package.json'));
  try {
    return require(unpacked(join(folder, name)));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_DLOPEN_FAILED') throw cause;
    const reason = (cause as Error).message;
    throw new DetailGuidanceError(
      'ADDON_NOT_BUILT',
      `The native addon in ${folder} does not load: ${reason}. It may be damaged or built for another system: remove ` +
        'that folder, and let `detail-guidance setup --no-prebuilt` compile one for this system.',
      { received: reason, expected: 'an addon that was built on this system', cause },
    );
  }
}

/** What it means that the dynamic linker did not load libtorch. `failure` is what it said. */
export function notLoaded(libraries: string, failure: string): DetailGuidanceError {
  // Its words for mmap's ENOMEM; a limit of the address space is met here first.
  if (/cannot allocate memory|failed to map segment|cannot create shared object descriptor/i.test(failure)) {
    return new DetailGuidanceError(
      'OUT_OF_MEMORY',
      `libtorch in ${libraries} did not fit into the memory: ${failure}. It takes 1 GB of address space, with CUDA ` +
        "5 GB: raise the limit (ulimit -v, a container's), or end other programs. Where memory is plenty, its folder " +
        'may be mounted noexec.',
      { received: failure },
    );
  }
  return new DetailGuidanceError(
    'LIBTORCH_NOT_FOUND',
    `libtorch in ${libraries} can not be loaded: ${failure}. Its installation may be incomplete: ` +
      'install it again, or set LIBTORCH to another.',
    { received: failure },
  );
}

let addon: NativeAddon | undefined;

/**
 * The addon, loaded at the first call.
 *
 * @throws ADDON_NOT_BUILT, LIBTORCH_NOT_FOUND, LIBTORCH_MISMATCH, OUT_OF_MEMORY; BAD_OPTION for a working folder that was
 *   removed
 */
export function native(): NativeAddon {
  try {
    addon ??= load();
    return addon;
  } catch (cause) {
    throw refusedByNode(cause) ?? cause;
  }
}

/** What it means that Node loads no addon, or does not let it be looked for; null for what is no such refusal. */
export function refusedByNode(cause: unknown): DetailGuidanceError | null {
  const { code, message } = cause as NodeJS.ErrnoException;
  const permissions = '--allow-addons --allow-fs-read=*';
  const remedy = 'permission' in process ? `start Node with ${permissions} as well` : 'start Node without --no-addons';
  const reason = code === 'ERR_DLOPEN_DISABLED' ? 'Node was told to load none' : permissionRefusal(cause);
  if (reason === null) return null;
  return new DetailGuidanceError('ADDON_NOT_BUILT', `The native addon is not loaded: ${reason}: ${remedy}.`, {
    received: message,
    expected: 'a Node that may load addons',
    cause,
  });
}
