/** The results: a table for people, an array for programs. */
import { workName, type Comparison, type Work } from './comparisons';
import { median, ratioOf, type Ratio } from './statistics';
import type { Timing } from './turns';

export interface Result extends Ratio {
  name: string;
  floor?: number;
  /** Whether the ratio is what is wanted of it. */
  met: boolean;
  goal: string;
  /** Medians. */
  seconds: [numerator: number, denominator: number];
  /** The ratio of the medians of processor time: what it would be on a machine that nobody else uses, about. */
  processorRatio: number;
}

export function resultOf(comparison: Comparison, timings: ReadonlyMap<string, readonly Timing[]>): Result {
  const of = (work: Work, what: keyof Timing) => (timings.get(workName(work)) ?? []).map((timing) => timing[what]);
  const numerator = of(comparison.numerator, 'seconds');
  const denominator = of(comparison.denominator, 'seconds');
  const found = ratioOf(numerator, denominator);
  const { name, floor, goal } = comparison;
  const met = 'atMost' in goal ? found.ratio <= goal.atMost : found.ratio >= goal.atLeast;
  return {
    name,
    ...found,
    ...(floor === undefined ? {} : { floor }),
    met,
    goal: 'atMost' in goal ? `<= ${goal.atMost.toFixed(3)}` : `>= ${goal.atLeast.toFixed(3)}`,
    seconds: [median(numerator), median(denominator)],
    processorRatio: ratioOf(
      of(comparison.numerator, 'processorSeconds'),
      of(comparison.denominator, 'processorSeconds'),
    ).ratio,
  };
}

/** What `--json` writes. */
export function toJson(results: readonly Result[]): string {
  const entries = results.map(({ name, ratio, floor, samples }) => ({
    name,
    ratio,
    ...(floor === undefined ? {} : { floor }),
    samples,
  }));
  return `${JSON.stringify(entries, null, 2)}\n`;
}

/** A Markdown table, columns aligned. */
export function toTable(results: readonly Result[]): string {
  const rows = results.map(({ name, ratio, quartiles, floor, goal, met, seconds, processorRatio, samples }) => [
    name,
    ratio.toFixed(3),
    quartiles.map((value) => value.toFixed(3)).join(' … '),
    processorRatio.toFixed(3),
    floor?.toFixed(3) ?? '',
    goal,
    met ? 'yes' : 'no',
    seconds.map((value) => (value * 1000).toFixed(1)).join(' / '),
    String(samples),
  ]);
  const header = ['name', 'ratio', 'quartiles', 'CPU time', 'floor', 'goal', 'met', 'median ms', 'samples'];
  const widths = header.map((title, column) => Math.max(...[header, ...rows].map((row) => row[column]!.length)));
  const line = (cells: string[]) => `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  return [line(header), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}
