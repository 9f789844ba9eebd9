/** `npm run bench`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, resolve } from 'node:path';

import { runBenchmark } from './benchmark';
import { parseOptions, usage } from './options';
import { toJson, toTable } from './report';

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options === 'help') {
    console.log(usage);
    return;
  }
  const { results, leftOut, peer, threads, steps } = await runBenchmark(options, (line) => console.error(line));
  const processors = cpus();
  console.log(
    [
      `Machine: ${processors[0]?.model.trim() ?? 'unknown'}, ${processors.length} processors; ${options.device}${options.device === 'cpu' ? '' : ` (${peer.deviceName})`}, ${options.precision}`,
      `An image of ${steps} steps, 1 image. Ours: ${threads} threads. Python: PyTorch ${peer.torch}, ${peer.threads} threads, ${peer.settings.join(', ')}.`,
      '',
      toTable(results),
      ...leftOut.map(({ name, reason }) => `left out: ${name}: ${reason}`),
    ].join('\n'),
  );
  if (options.json !== undefined) {
    const file = resolve(options.json);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, toJson(results));
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
