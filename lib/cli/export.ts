/** `detail-guidance export`: writes the bundle of a diffusers checkpoint, with the Python in models/export. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Writable } from 'node:stream';

import { Command, Option } from 'commander';

import { native } from '../native';
import { DetailGuidanceError, errorCodes, type ErrorCode } from '../validation/errors';
import { invalid } from '../validation/invalid';
import { packageRoot } from '../files/packageRoot';
import { unpacked } from '../files/unpacked';
import { setup } from '../files/setup';

import { compareWithSource } from './compareWithSource';
import { printJson } from './failure';
import { interruptible } from './interrupt';
import { startProgress, type Progress } from './progressBar';
import { say } from './quiet';

interface ExportFlags {
  from?: string;
  adapter?: string;
  out: string;
  dtype?: string;
  config?: string;
  revision?: string;
  name?: string;
  licence?: string;
  overwrite?: boolean;
  json?: boolean;
}

/** One line of the exporter's stderr; models/export/progress.py says which there are. */
type ExportEvent =
  | { event: 'start'; components: string[] }
  | { event: 'component'; name: string; state: string; index: number; total: number }
  | { event: 'warning'; message: string }
  | { event: 'check'; folder: string; values: Record<string, string> }
  | { event: 'done'; out: string }
  | { event: 'error'; code: string; message: string; received?: unknown; expected?: string };

interface Outcome {
  out: string;
  warnings: string[];
}

export function exportCommand(): Command {
  return new Command('export')
    .description('write the bundle of a diffusers checkpoint: SD3, SD3.5, FLUX.1, DiT, PixArt, Wan, or your own module')
    .option('--from <checkpoint>', 'folder or .safetensors file of a checkpoint, or its id on the Hugging Face hub')
    .option('--adapter <file>', 'Python file that describes a module of your own, in place of a known pipeline')
    .requiredOption('-o, --out <folder>', 'the bundle; must not exist yet')
    .addOption(
      new Option('--dtype <dtype>', "of the weights on disk (default: the checkpoint's)").choices([
        'float32',
        'float16',
        'bfloat16',
      ]),
    )
    .option('--config <folder>', 'for a .safetensors file: folder with the rest of the pipeline and its configurations')
    .option('--revision <revision>', 'branch, tag or commit, for a hub id')
    .option('--name <name>', "of the bundle (default: the checkpoint's)")
    .option('--licence <licence>', 'of the weights (default: what the model card says)')
    .option('--overwrite', 'replace a bundle that is there')
    .option('--json', 'print what was written as one JSON document')
    .action((flags: ExportFlags) => interruptible((signal) => runExport(flags, signal)));
}

async function runExport(flags: ExportFlags, signal: AbortSignal): Promise<void> {
  if (flags.from === undefined && flags.adapter === undefined) {
    throw invalid('export', '--from <checkpoint> or --adapter <file>', undefined, { shown: 'neither' });
  }
  // The bundle is opened in the end: who cannot is told before hours of work.
  native();
  const python = await setup('exporter').ensureExportPython();
  signal.throwIfAborted();
  const { out, warnings } = await runExporter(python, exporterArguments(flags), signal);
  if (flags.json) printJson({ out, warnings });
  else say(out, process.stdout);
}

/** The same flags for `python -m models.export`, which runs in the package's folder: paths become absolute. */
function exporterArguments(flags: ExportFlags): string[] {
  const path = (value: string) => (existsSync(resolve(value)) ? resolve(value) : value);
  const values: Record<string, string | undefined> = {
    '--from': flags.from === undefined ? undefined : path(flags.from),
    '--adapter': flags.adapter === undefined ? undefined : resolve(flags.adapter),
    '--out': resolve(flags.out),
    '--dtype': flags.dtype,
    '--config': flags.config === undefined ? undefined : resolve(flags.config),
    '--revision': flags.revision,
    '--name': flags.name,
    '--licence': flags.licence,
  };
  const parts = Object.entries(values).flatMap(([flag, value]) => (value === undefined ? [] : [flag, value]));
  return [...parts, ...(flags.overwrite ? ['--overwrite'] : []), '--progress', 'json', '--ask-parent'];
}

/** Runs it to its end and shows its progress; an error event is thrown as the DetailGuidanceError it describes. */
async function runExporter(python: string, args: string[], signal: AbortSignal): Promise<Outcome> {
  const child = spawn(python, ['-m', 'models.export', ...args], {
    cwd: unpacked(packageRoot()),
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  // It may end before it is answered.
  child.stdin.on('error', () => undefined);
  const stop = () => child.kill('SIGINT');
  signal.addEventListener('abort', stop);
  const outcome: Outcome = { out: '', warnings: [] };
  let failure: DetailGuidanceError | null = null;
  let progress: Progress | null = null;
  /** What is no event: Python's own complaints, quoted when it ends without saying why. */
  const noise: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    const event = parseEvent(line);
    if (event === null) noise.push(line);
    else if (event.event === 'start') progress = startProgress(event.components.length, 'components');
    else if (event.event === 'component') {
      const finished = event.state === 'done' || event.state === 'kept';
      progress?.update(event.index + (finished ? 1 : 0), `${event.name}: ${event.state}`);
    } else if (event.event === 'warning') outcome.warnings.push(event.message);
    else if (event.event === 'check') {
      progress?.update(Object.keys(event.values).length, 'opened by the loader');
      void answer(child.stdin, event, signal);
    } else if (event.event === 'done') outcome.out = event.out;
    else failure = errorOf(event);
  });
  try {
    const status = await new Promise<number | null>((settle, reject) => {
      child.on('error', reject);
      child.on('close', settle);
    });
    signal.throwIfAborted();
    if (failure) throw failure as DetailGuidanceError;
    if (status !== 0 || outcome.out === '') {
      throw new DetailGuidanceError(
        'EXPORT_FAILED',
        `The exporter ended with status ${status ?? 'of a signal'}: ${noise.slice(-3).join(' ') || 'it said nothing'}`,
        { received: status },
      );
    }
  } finally {
    signal.removeEventListener('abort', stop);
    (progress as Progress | null)?.stop();
    for (const warning of outcome.warnings) say(warning);
  }
  return outcome;
}

/** Opens the finished folder before it gets its name, and tells the exporter what came of it. */
async function answer(
  exporter: Writable,
  { folder, values }: ExportEvent & { event: 'check' },
  signal: AbortSignal,
): Promise<void> {
  let verdict: object = { ok: true };
  try {
    await compareWithSource(folder, values, signal);
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    verdict = { ok: false, code: String(code), message: String(message ?? error) };
  }
  exporter.end(`${JSON.stringify(verdict)}\n`);
}

function parseEvent(line: string): ExportEvent | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && 'event' in value ? (value as ExportEvent) : null;
  } catch {
    return null;
  }
}

function errorOf({ code, message, received, expected }: ExportEvent & { event: 'error' }): DetailGuidanceError {
  const known = errorCodes.find((candidate) => candidate === code) ?? ('EXPORT_FAILED' satisfies ErrorCode);
  return new DetailGuidanceError(known, message, {
    ...(received === undefined ? {} : { received }),
    ...(expected === undefined ? {} : { expected }),
  });
}
