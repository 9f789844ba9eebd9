/** `npm run fuzz`: --cases N --seed S [--kinds archive,bundle,…] [--json] */
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { kinds as allKinds, type Kind } from './kinds';
import { fuzz, type FuzzReport } from './fuzz';

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      cases: { type: 'string', default: '1000' },
      seed: { type: 'string', default: '1' },
      kinds: { type: 'string', default: allKinds.join(',') },
      json: { type: 'boolean', default: false },
    },
  });
  const kinds = values.kinds.split(',') as Kind[];
  const wrong = kinds.find((kind) => !allKinds.includes(kind));
  if (wrong !== undefined) throw new Error(`--kinds: expected some of ${allKinds.join(', ')}, received '${wrong}'.`);
  const keep = join(process.env['FUZZ_ROOT']!, 'build', 'fuzz');
  const report = await fuzz({
    cases: Number(values.cases),
    seed: Number(values.seed),
    kinds,
    keep,
    onCase: (done, { faults }) => {
      if (done % 100 === 0) process.stderr.write(`  ${done} cases, ${faults.length} faults\n`);
    },
  });
  process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : inWords(report, keep));
  return report.faults.length > 0 ? 1 : 0;
}

function inWords({ cases, ends, faults }: FuzzReport, keep: string): string {
  const lines = Object.entries(ends).map(([kind, counts]) => {
    const sorted = Object.entries(counts).sort(([, a], [, b]) => b - a);
    return `${kind}: ${sorted.map(([end, count]) => `${count} ${end}`).join(', ')}`;
  });
  const found = faults.map(
    ({ kind, seed, ending }) => `  ${kind} ${seed}: ${ending.end} ${(ending.untyped ?? '').split('\n', 1)[0]}`,
  );
  const kept = faults.length > 0 ? [`Kept in ${keep}:`, ...found] : [];
  return [`${cases} cases, ${faults.length} faults`, ...lines, ...kept, ''].join('\n');
}

main().then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  },
);
