/** `detail-guidance doctor`: what this machine has, what was refused and why. Exit code 0 when all that is needed works. */
import { Command } from 'commander';

import { diagnose, type Diagnosis } from './diagnose';

import { printJson } from './failure';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('check Node, compiler, libtorch, addon, devices and the embedded bundle')
    .option('--json', 'print the findings as one JSON document')
    .action(async (flags: { json?: boolean }) => {
      const diagnosis = await diagnose();
      if (flags.json) printJson(diagnosis);
      else process.stdout.write(inWords(diagnosis));
      if (!diagnosis.ok) process.exitCode = 1;
    });
}

/** The findings as lines for people: `+` is there and works, `-` does not. */
export function inWords(diagnosis: Diagnosis): string {
  const { node, compiler, cmake, python, libtorch, addon, cuda, embedded, cache } = diagnosis;
  const program = ({ path, version, reason }: Diagnosis['compiler']) => reason ?? `${path} ${version ?? ''}`;
  const lines = [
    line(!node.reason, 'node', `${node.version} (${node.path})${node.reason ? `: ${node.reason}` : ''}`),
    line(!compiler.reason, 'compiler', program(compiler)),
    line(!cmake.reason, 'cmake', program(cmake)),
    line(!python.reason, 'python', program(python)),
    line(
      libtorch.path !== null,
      'libtorch',
      libtorch.path ? `${libtorch.version}, ${build(libtorch.cuda)} (${libtorch.path})` : 'none that can be used',
    ),
    ...libtorch.candidates.map(
      ({ source, path, accepted, reason }) =>
        `      ${accepted ? 'taken  ' : 'refused'}  ${source}${path ? ` (${path})` : ''}${reason ? `: ${reason}` : ''}`,
    ),
    line(addon.loads, 'addon', addonInWords(addon)),
    line(
      addon.cudaLinked,
      'CUDA linked',
      addon.cudaLinked ? 'yes' : `no: ${addon.cudaReason ?? 'the addon does not load'}`,
    ),
    line(Boolean(addon.builtFor?.kernels), 'CUDA kernels', kernelsInWords(addon)),
    line(
      cuda.available,
      'CUDA device',
      cuda.available
        ? cuda.devices.map(({ name, memory }, index) => `cuda:${index} ${name}, ${gigabytes(memory)}`).join('; ')
        : `none: ${cuda.reason ?? 'unknown'}`,
    ),
    line(
      embedded.ok,
      'embedded bundle',
      embedded.ok ? `checksums match (${embedded.folder})` : (embedded.reason ?? ''),
    ),
    line(cache.folder !== null, 'cache', cacheInWords(cache)),
    '',
    ...(diagnosis.ok
      ? ['Everything that is needed works.']
      : ['What is wrong:', ...diagnosis.problems.map((problem, index) => `  ${index + 1}. ${problem}`)]),
  ];
  return `${lines.join('\n')}\n`;
}

const line = (works: boolean, what: string, finding: string) =>
  `${works ? '+' : '-'} ${`${what}:`.padEnd(21)}${finding}`;

function kernelsInWords({ builtFor }: Diagnosis['addon']): string {
  const kernels = builtFor?.kernels;
  if (kernels) return `compiled by nvcc ${kernels.nvcc} for ${kernels.architectures}`;
  return `none: ${builtFor?.kernelsReason ?? 'the addon is not built'}`;
}

function cacheInWords({ folder, freeBytes }: Diagnosis['cache']): string {
  if (folder === null) return 'none: this user has no home folder; DETAIL_GUIDANCE_CACHE=/elsewhere names one';
  return `${folder}, ${freeBytes === null ? 'unknown' : gigabytes(freeBytes)} free`;
}

const build = (cuda: string | null) => (cuda ? `CUDA ${cuda} build` : 'CPU build');

const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;

function addonInWords({
  built,
  loads,
  builtFor,
  libtorch,
  cpuCapability,
  cpuBfloat16,
  products,
  threads,
  reason,
}: Diagnosis['addon']): string {
  if (!built) return `not built (${reason})`;
  const target = `built for libtorch ${builtFor?.libtorchVersion} at ${builtFor?.builtAt} with ${builtFor?.compiler}`;
  if (!loads) return `${target}, but does not load: ${reason}`;
  return `${target}; loaded libtorch ${libtorch}, ${cpuCapability} ${cpuBfloat16 ? 'with' : 'without'} bfloat16, products by ${products?.float32} (float32) and ${products?.bfloat16} (bfloat16), ${threads} threads`;
}
