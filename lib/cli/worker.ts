/** `detail-guidance worker`: makes pictures for servers that were started with the same Redis, until it is interrupted. */
import { Command, Option } from 'commander';

import { interruptible, untilInterrupted } from './interrupt';
import { addLoadOptions, loadOptionsOf, type LoadFlags } from './load';
import { parseWhole } from './values';

interface WorkerFlags extends LoadFlags {
  redis: string;
  results: string;
  memoryLimit?: number;
  logLevel: 'silent' | 'error' | 'warn' | 'info' | 'debug';
}

export function workerCommand(): Command {
  const command = new Command('worker')
    .description('make pictures for servers on other machines (docs/server.md)')
    .argument('[bundles...]', "folders of bundles, or 'embedded', which is the default")
    .requiredOption('--redis <url>', 'the Redis that holds the queue')
    .requiredOption('--results <place>', 'where pictures go: a folder that all machines reach, or s3://bucket/prefix')
    .option('--memory-limit <bytes>', 'weights that may be loaded at once', parseWhole)
    .option('--low-memory', 'load text encoders, transformer and VAE one after the other')
    .addOption(
      new Option('--log-level <level>', 'least severe level of the log, one JSON object a line on stdout')
        .choices(['silent', 'error', 'warn', 'info', 'debug'])
        .default('info'),
    );
  return addLoadOptions(command).action((bundles: string[], flags: WorkerFlags) =>
    interruptible((signal) => runWorker(bundles, flags, signal)),
  );
}

async function runWorker(bundles: string[], flags: WorkerFlags, signal: AbortSignal): Promise<void> {
  const { redis, results, memoryLimit, logLevel } = flags;
  const { createWorker } = await import('../server');
  const worker = createWorker({
    ...(bundles.length > 0 ? { bundles } : {}),
    load: loadOptionsOf(flags),
    ...(memoryLimit === undefined ? {} : { memoryLimit }),
    redis,
    results,
    logLevel,
  });
  await untilInterrupted(signal, {
    // It waits for a Redis that is away.
    start: () => worker.start(),
    onStart: () => process.stdout.write(`taking jobs from ${new URL(redis).host}\n`),
    close: () => worker.close(),
  });
}
