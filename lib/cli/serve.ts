/** `detail-guidance serve`: pictures over HTTP, until it is interrupted. */
import { Command, Option } from 'commander';

import { interruptible, untilInterrupted } from './interrupt';
import { addLoadOptions, loadOptionsOf, type LoadFlags } from './load';
import { parseWhole } from './values';

/** The options that `serve` and `studio` share. */
export interface ServeFlags extends LoadFlags {
  host: string;
  port: number;
  token?: string;
  maxQueue: number;
  batch: number;
  maxPixels?: number;
  memoryLimit?: number;
  origin?: string[];
  redis?: string;
  results?: string;
  logPrompts?: boolean;
  logLevel: 'silent' | 'error' | 'warn' | 'info' | 'debug';
}

export function serveCommand(): Command {
  const command = new Command('serve').description('serve pictures over HTTP (docs/server.md)');
  return addServeOptions(command).action((bundles: string[], flags: ServeFlags) =>
    interruptible((signal) =>
      runServer(bundles, flags, signal, { onListening: (url) => process.stdout.write(`listening on ${url}\n`) }),
    ),
  );
}

export function addServeOptions(command: Command): Command {
  command
    .argument('[bundles...]', "folders of bundles, or 'embedded', which is the default")
    .option('--host <address>', 'address to listen at; any but this machine’s own needs a token', '127.0.0.1')
    .option('--port <port>', 'port to listen at; 0 takes a free one', parseWhole, 7860)
    .addOption(new Option('--token <token>', 'bearer token that requests have to carry').env('DETAIL_GUIDANCE_TOKEN'))
    .option('--max-queue <jobs>', 'jobs that may wait; one more is answered with 429', parseWhole, 64)
    .option(
      '--max-pixels <pixels>',
      'of a picture, width times height times frames (default: 2048 x 2048, or what the bundle makes by itself)',
      parseWhole,
    )
    .option('--batch <requests>', 'requests of the same structure that may share an evaluation', parseWhole, 1)
    .option('--memory-limit <bytes>', 'weights that may be loaded at once', parseWhole)
    .option('--origin <origin...>', 'origins that browsers may call from')
    .option('--redis <url>', 'put jobs into this Redis, for `detail-guidance worker` on any machine')
    .option('--results <place>', 'where workers put pictures: a folder that all reach, or s3://bucket/prefix')
    .option('--low-memory', 'load text encoders, transformer and VAE one after the other')
    .option('--log-prompts', 'write prompts to the log')
    .addOption(
      new Option('--log-level <level>', 'least severe level of the log, one JSON object a line on stdout')
        .choices(['silent', 'error', 'warn', 'info', 'debug'])
        .default('info'),
    );
  return addLoadOptions(command);
}

interface Serving {
  /** Folder of a page to serve. */
  page?: string;
  /** Told the address once requests are taken. */
  onListening: (url: string) => void;
}

/** Serves until the signal. */
export async function runServer(
  bundles: string[],
  flags: ServeFlags,
  signal: AbortSignal,
  { page, onListening }: Serving,
): Promise<void> {
  const { host, port, token, maxQueue, batch, maxPixels, memoryLimit, origin, redis, results, logPrompts, logLevel } =
    flags;
  // Not with every command: the framework takes a moment to load.
  const { createServer } = await import('../server');
  const server = createServer({
    ...(bundles.length > 0 ? { bundles } : {}),
    load: loadOptionsOf(flags),
    host,
    port,
    ...(token === undefined ? {} : { token }),
    maxQueue,
    batch,
    ...(maxPixels === undefined ? {} : { maxPixels }),
    ...(memoryLimit === undefined ? {} : { memoryLimit }),
    ...(origin ? { origins: origin } : {}),
    ...(redis === undefined ? {} : { redis }),
    ...(results === undefined ? {} : { results }),
    ...(logPrompts ? { logPrompts } : {}),
    logLevel,
    ...(page === undefined ? {} : { page }),
  });
  await untilInterrupted(signal, { start: () => server.listen(), onStart: onListening, close: () => server.close() });
}
