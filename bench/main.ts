/** `npm run bench`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, resolve } from 'node:path';

import { prepareModel, runBenchmark, type Benchmark } from './benchmark';
import { parseOptions, usage, type BenchOptions } from './options';
import { toJson, toReport, toTable } from './report';

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options === 'help') {
    console.log(usage);
    return;
  }
  const say = (line: string) => console.error(line);
  if (options.prepare) {
    console.log(prepareModel(options, say));
    return;
  }
  const benchmark = await runBenchmark(options, say, (soFar) => save(soFar, options));
  save(benchmark, options);
  const { results, leftOut, failed } = benchmark;
  const { machine, circumstances } = settings(benchmark, options);
  console.log(
    [
      `Machine: ${machine}`,
      circumstances,
      '',
      toTable(results),
      ...leftOut.map(({ name, reason }) => `left out: ${name}: ${reason}`),
    ].join('\n'),
  );
  if (failed) process.exitCode = 1;
}

/** On what it was measured, in words. */
function settings({ peer, threads, steps }: Benchmark, { device, precision }: BenchOptions) {
  const processors = cpus();
  const gpu = device === 'cpu' ? '' : ` (${peer.deviceName})`;
  return {
    machine: `${processors[0]?.model.trim() ?? 'unknown'}, ${processors.length} processors; ${device}${gpu}, ${precision}`,
    circumstances: `An image of ${steps} steps, 1 image. Ours: ${threads} threads. Python: PyTorch ${peer.torch}, ${peer.threads} threads, ${peer.settings.join(', ')}.`,
  };
}

/** After every round, so that a run that is cut short leaves what it has found. */
function save(benchmark: Benchmark, options: BenchOptions): void {
  const { size, device, precision, rounds, steps } = options;
  const { results, leftOut } = benchmark;
  if (options.json !== undefined) write(options.json, toJson(results));
  if (options.report === undefined) return;
  const run = { size, device, precision, rounds, steps, ...settings(benchmark, options), leftOut };
  write(options.report, toReport(run, results));
}

function write(name: string, text: string): void {
  const file = resolve(name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
