/** `detail-guidance pack-libtorch`: what an application has to ship of libtorch, in a folder. */
import { Command } from 'commander';

import { packLibtorch } from '../packaging';

import { printJson } from './failure';
import { interruptible } from './interrupt';
import { startProgress, type Progress } from './progressBar';
import { say } from './quiet';

const megabytes = (bytes: number) => Math.round(bytes / 1e6);

export function packLibtorchCommand(): Command {
  return new Command('pack-libtorch')
    .description('copy what an application has to ship of libtorch, and say how large it is (docs/guides/desktop.md)')
    .argument('<folder>', 'folder that does not exist or is empty; LIBTORCH=FOLDER runs with it')
    .option('--json', 'print what was packed as JSON')
    .action((folder: string, { json }: { json?: boolean }) =>
      interruptible((signal) => runPackLibtorch(folder, json === true, signal)),
    );
}

async function runPackLibtorch(folder: string, json: boolean, signal: AbortSignal): Promise<void> {
  let progress: Progress | null = null;
  try {
    const packed = await packLibtorch(folder, {
      signal,
      onProgress: ({ name, done, total }) => {
        progress ??= startProgress(megabytes(total), 'MB');
        progress.update(megabytes(done), name);
      },
    });
    if (json) return printJson(packed);
    const { version, cuda, libraries, bytes, system } = packed;
    const kind = cuda === null ? 'CPU build' : `CUDA ${cuda} build`;
    const count = `${libraries.length} libraries`;
    say(`libtorch ${version}, ${kind}: ${count}, ${megabytes(bytes)} MB, in ${packed.folder}`, process.stdout);
    if (system.length > 0) say(`needed of the user's system: ${system.join(', ')}`, process.stdout);
  } finally {
    (progress as Progress | null)?.stop();
  }
}
