/** A figure with its goal, as the load test of the server and the studio's measurements give them. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

import { selectNames } from './comparisons';
import type { ratioOf } from './statistics';

export interface Figure {
  name: string;
  value: number;
  unit: '' | 'ms' | 'bytes' | 'bytes a request';
  /** What it is worth: quartiles of the repetitions, or the standard error of a slope. */
  quartiles?: [number, number];
  standardError?: number;
  goal: string;
  met: boolean;
  samples: number;
}

export const ratioFigure = (name: string, values: ReturnType<typeof ratioOf>, goal: string, met: boolean): Figure => ({
  name,
  value: values.ratio,
  unit: '',
  quartiles: values.quartiles,
  goal,
  met,
  samples: values.samples,
});

/** Counts given as options. @throws Error for anything else */
export function wholeNumbers<Name extends string>(
  values: Readonly<Record<Name, string>>,
  names: readonly Name[],
): Record<Name, number> {
  const entries = names.map((name) => {
    const count = Number(values[name]);
    if (Number.isInteger(count) && count >= 1 && count <= 9999) return [name, count];
    throw new Error(`--${name}: expected a whole number from 1 to 9999, received ${values[name]}`);
  });
  return Object.fromEntries(entries) as Record<Name, number>;
}

/** Figures that are measured together, by a name to choose them by. */
export interface Part {
  name: string;
  measure: () => Figure[] | Promise<Figure[]>;
}

/** Measures the parts that are chosen, one after the other, and reports their figures. */
export async function measureParts(
  parts: readonly Part[],
  { only, json }: { only?: string | undefined; json?: string | undefined },
  say: (line: string) => void,
): Promise<void> {
  const figures: Figure[] = [];
  for (const { name, measure } of selectNames(parts, only)) {
    say(`> ${name}`);
    figures.push(...(await measure()));
  }
  report(figures, json);
}

/** Prints them as a table, and writes them to a file where there is to be one; a goal that is not met is a failure. */
function report(figures: readonly Figure[], json: string | undefined): void {
  if (json !== undefined) {
    const file = resolve(json);
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
