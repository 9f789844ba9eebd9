/** `npm run bench:server`: a load test of the server on loopback. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { prepareBundle } from '../benchmark';
import { selectNames } from '../comparisons';

import { addedTime, loopDelay, manyClients, memorySlope, type Figure } from './figures';

const usage = `npm run bench:server -- [options]
  --json FILE     write the figures as a JSON array
  --only NAMES    of added, loop, memory, clients; with commas between them
  --rounds N      repetitions of what is timed (default 10)
  --requests N    requests in a row (default 200)
  --clients N     clients at once (default 32)`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'string' },
      only: { type: 'string' },
      rounds: { type: 'string', default: '10' },
      requests: { type: 'string', default: '200' },
      clients: { type: 'string', default: '32' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
  const [rounds, requests, clients] = (['rounds', 'requests', 'clients'] as const).map((name) => {
    const count = Number(values[name]);
    if (Number.isInteger(count) && count >= 1 && count <= 9999) return count;
    throw new Error(`--${name}: expected a whole number from 1 to 9999, received ${values[name]}`);
  }) as [number, number, number];
  const say = (line: string) => console.error(line);
  const parts = [
    { name: 'added', measure: () => addedTime(rounds) },
    { name: 'loop', measure: () => loopDelay(prepareBundle('megapixel', say), rounds) },
    { name: 'memory', measure: () => memorySlope(requests) },
    { name: 'clients', measure: () => manyClients(clients, Math.max(2, Math.round(rounds / 4))) },
  ];
  const figures: Figure[] = [];
  for (const { name, measure } of selectNames(parts, values.only)) {
    say(`> ${name}`);
    figures.push(...(await measure()));
  }
  if (values.json !== undefined) {
    const file = resolve(values.json);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify(figures, null, 2)}\n`);
  }
  console.log(toTable(figures));
  if (figures.some(({ met }) => !met)) process.exitCode = 1;
}

function toTable(figures: readonly Figure[]): string {
  const rows = figures.map(({ name, value, unit, quartiles, standardError, goal, met, samples }) => [
    name,
    `${Number(value.toPrecision(4))} ${unit}`.trim(),
    quartiles?.map((quartile) => Number(quartile.toPrecision(4))).join(' … ') ??
      (standardError === undefined ? '' : `± ${Number(standardError.toPrecision(2))}`),
    goal,
    goal === '' ? '' : met ? 'yes' : 'no',
    String(samples),
  ]);
  const header = ['figure', 'value', 'quartiles', 'goal', 'met', 'samples'];
  const widths = header.map((title, column) => Math.max(...[header, ...rows].map((row) => row[column]!.length)));
  const line = (cells: string[]) => `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  return [line(header), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
