/** `detail-guidance check`: a look at a stranger's bundle, in a process of its own. */
import { Command } from 'commander';

import { checkBundle, type CheckResult } from '../check';

import { printJson } from './failure';
import { interruptible } from './interrupt';
import { print } from './print';
import { parseWhole } from './values';

interface CheckFlags {
  memory?: number;
  seconds?: number;
  json?: boolean;
}

export function checkCommand(): Command {
  return new Command('check')
    .description('open a bundle and evaluate it once in a confined process, and say what was found')
    .argument('<bundle>', "folder of a bundle, or 'embedded'")
    .option('--memory <GiB>', 'of memory at most (default: 8)', parseWhole)
    .option('--seconds <seconds>', 'at most (default: 300)', parseWhole)
    .option('--json', 'print everything as one JSON document')
    .action((bundle: string, flags: CheckFlags) => interruptible((signal) => runCheck(bundle, flags, signal)));
}

async function runCheck(bundle: string, { memory, seconds, json }: CheckFlags, signal: AbortSignal): Promise<void> {
  const result = await checkBundle(bundle, {
    ...(memory === undefined ? {} : { memoryBytes: memory * 2 ** 30 }),
    ...(seconds === undefined ? {} : { seconds }),
    signal,
  });
  if (json) printJson(result);
  else print(inWords(result));
  if (!result.ok) process.exitCode = 1;
}

function inWords({ ok, confinement, report, failure }: CheckResult): string {
  const without = Object.entries(words).flatMap(([right, word]) =>
    confinement[right as keyof typeof words] ? [word] : [],
  );
  const lines = [
    `confined: ${without.length > 0 ? without.join(', ') : 'not at all; this system offers nothing, or the process ended before'}`,
  ];
  if (report) {
    const { evaluation } = report;
    lines.push(
      `${report.name} (${report.family}), licence ${report.licence}`,
      `${report.files} files, ${report.bytes} bytes, checksums fit`,
      `${report.parameters} parameters, ${report.blocks} blocks; every operator is on the list`,
      evaluation
        ? `evaluated once at ${evaluation.width} × ${evaluation.height}: numbers are ${evaluation.finite ? 'finite' : 'not finite'}`
        : 'evaluated once, with zeros for what the caller gives',
      `at most ${Math.round(report.peakMemory / 2 ** 20)} MiB of memory`,
    );
  }
  if (failure) lines.push(`${failure.code}: ${failure.message}`);
  lines.push(ok ? 'nothing was found' : 'do not use it', '');
  return lines.join('\n');
}

const words = {
  memory: 'memory is limited',
  files: 'files cannot be written',
  network: 'no network',
  programs: 'no other programs',
} as const;
