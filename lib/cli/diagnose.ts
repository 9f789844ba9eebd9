/** What this machine has and lacks for the addon, as plain data; never throws. `detail-guidance doctor` prints it. */
import type { Candidate } from '../../setup/libtorch.cjs';
import { openBundle } from '../bundle';
import { permissionRefusal } from '../files/permission';
import { setup } from '../files/setup';
import { cpuHasBfloat16 } from '../model/device';
import { native, readBuild, type BuildInfo, type ProductWay } from '../native';

/** A program that was looked for: `reason` says why it cannot be used. */
export interface ProgramFinding {
  path: string | null;
  version: string | null;
  reason: string | null;
}

export interface Diagnosis {
  /** Everything that generating needs works; the compiler, cmake and Python only matter for a build. */
  ok: boolean;
  /** What is wrong, one sentence each, each with its remedy. */
  problems: string[];
  node: { version: string; path: string; reason: string | null };
  compiler: ProgramFinding;
  cmake: ProgramFinding;
  python: ProgramFinding;
  /** What a build would use now; `candidates` in the order in which they were looked at. */
  libtorch: {
    path: string | null;
    version: string | null;
    cuda: string | null;
    candidates: Omit<Candidate, 'libtorch'>[];
  };
  addon: {
    built: boolean;
    folder: string | null;
    builtFor: BuildInfo | null;
    /** The addon and its libtorch load in this process. */
    loads: boolean;
    /** Version of the libtorch that was loaded. */
    libtorch: string | null;
    cudaLinked: boolean;
    /** Why CUDA is not linked. */
    cudaReason: string | null;
    cpuCapability: string | null;
    /** The processor has instructions for bfloat16. */
    cpuBfloat16: boolean;
    /** How the CPU multiplies matrices of a dtype. */
    products: Record<'float32' | 'bfloat16', ProductWay> | null;
    threads: number | null;
    reason: string | null;
  };
  cuda: { available: boolean; devices: { name: string; memory: number }[]; reason: string | null };
  /** The bundle that is shipped: its files have the checksums that its manifest gives. */
  embedded: { ok: boolean; folder: string | null; reason: string | null };
  /** `folder` is null for a user without a home folder who names none. */
  cache: { folder: string | null; freeBytes: number | null };
}

const messageOf = (error: unknown): string =>
  permissionRefusal(error) ?? (error instanceof Error ? error.message : String(error));

/** What was found, or what to say where Node does not let it be looked for. */
function lookFor<Finding>(look: () => Finding, without: (reason: string) => Finding): Finding {
  try {
    return look();
  } catch (error) {
    return without(messageOf(error));
  }
}

const noProgram = (reason: string): ProgramFinding => ({ path: null, version: null, reason });

/**
 * Looks at Node, compiler, cmake, Python, libtorch, addon, devices, embedded bundle and disk space.
 *
 * @returns findings; what is missing is a finding with a reason, not an error
 */
export async function diagnose(): Promise<Diagnosis> {
  const { libtorch, candidates } = lookFor(
    () => setup('libtorch').searchLibtorch(),
    (reason) => ({
      libtorch: null,
      candidates: [{ source: 'search', path: '', accepted: false, reason }],
    }),
  );
  const { findBuildTools, findCompiler } = setup('toolchain');
  const { findCacheFolder, freeBytes } = setup('cache');
  const cache = lookFor(findCacheFolder, () => null);
  const findings = {
    node: nodeFinding(),
    compiler: lookFor(findCompiler, noProgram),
    cmake: lookFor(() => {
      const { cmake: path, version, reason } = findBuildTools();
      return { path, version, reason };
    }, noProgram),
    python: lookFor(() => setup('python').findPython(), noProgram),
    libtorch: {
      path: libtorch?.path ?? null,
      version: libtorch?.version ?? null,
      cuda: libtorch?.cuda ?? null,
      candidates: candidates.map(({ source, path, accepted, reason }) => ({ source, path, accepted, reason })),
    },
    ...addonFinding(),
    embedded: await embeddedFinding(),
    cache: {
      folder: cache,
      freeBytes:
        cache === null
          ? null
          : lookFor(
              () => freeBytes(cache),
              () => null,
            ),
    },
  };
  const problems = problemsOf(findings);
  return { ok: problems.length === 0, problems, ...findings };
}

function nodeFinding(): Diagnosis['node'] {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const old = major < 20 || (major === 20 && minor < 17);
  return { version: process.version, path: process.execPath, reason: old ? 'Node 20.17 or newer is needed' : null };
}

function addonFinding(): Pick<Diagnosis, 'addon' | 'cuda'> {
  const addon: Diagnosis['addon'] = {
    built: false,
    folder: null,
    builtFor: null,
    loads: false,
    libtorch: null,
    cudaLinked: false,
    cudaReason: null,
    cpuCapability: null,
    cpuBfloat16: cpuHasBfloat16(),
    products: null,
    threads: null,
    reason: null,
  };
  let cuda: Diagnosis['cuda'] = { available: false, devices: [], reason: 'the addon does not load' };
  try {
    const { folder, info } = readBuild();
    Object.assign(addon, { built: true, folder, builtFor: info, cudaReason: info.cudaReason });
    const { libtorch, cudaLinked, cpuCapability, products, threads } = native().info();
    Object.assign(addon, { loads: true, libtorch, cudaLinked, cpuCapability, products, threads });
    cuda = native().cuda();
    if (!cudaLinked) addon.cudaReason ??= 'the libtorch that was loaded has no libtorch_cuda';
  } catch (error) {
    addon.reason = messageOf(error);
  }
  return { addon, cuda };
}

async function embeddedFinding(): Promise<Diagnosis['embedded']> {
  try {
    const { folder } = await openBundle('embedded');
    return { ok: true, folder, reason: null };
  } catch (error) {
    return { ok: false, folder: null, reason: messageOf(error) };
  }
}

function problemsOf({
  node,
  compiler,
  cmake,
  libtorch,
  addon,
  embedded,
}: Omit<Diagnosis, 'ok' | 'problems'>): string[] {
  const problems: string[] = [];
  if (node.reason) problems.push(`${node.reason}; this is ${node.version}.`);
  if (!addon.built) {
    problems.push(`The addon is not built: ${setup('addon').HOW_TO_BUILD}.`);
    if (compiler.reason) problems.push(`No compiler to build it with: ${compiler.reason}.`);
    if (cmake.reason)
      problems.push(`No cmake to build it with: ${cmake.reason} (set-up fetches one with Python's pip).`);
    if (!libtorch.path) problems.push('No libtorch to build it with (set-up installs one with Python).');
  } else if (!addon.loads) {
    problems.push(`The addon does not load: ${addon.reason}`);
  }
  if (!embedded.ok) problems.push(`The embedded bundle cannot be used: ${embedded.reason}`);
  return problems;
}
