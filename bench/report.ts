/** The results: a table for people, an array for programs. */
import { workName, type Comparison, type Work } from './comparisons';
import { median, ratioOf, type Ratio } from './statistics';
import type { Timing } from './turns';

export interface Result extends Ratio {
  name: string;
  floor?: number;
  /** Whether the ratio is what is wanted of it. */
  met: boolean | null;
  goal: string;
  /** Medians; null where no time is compared, as the next. */
  seconds: [numerator: number, denominator: number] | null;
  /** The same for a step of an image. */
  stepSeconds?: [numerator: number, denominator: number];
  /** The ratio of the medians of processor time: what it would be on a machine that nobody else uses, about. */
  processorRatio: number | null;
  /** The most memory in tensors on the device, in bytes; null where it is not known, as on the CPU. */
  peakBytes: [numerator: number, denominator: number] | null;
}

/** @param steps of an image, unless the work says otherwise; without them nothing is said of a step */
export function resultOf(
  comparison: Comparison,
  timings: ReadonlyMap<string, readonly Timing[]>,
  steps?: number,
): Result {
  const of = (work: Work, what: 'seconds' | 'processorSeconds') =>
    (timings.get(workName(work)) ?? []).map((timing) => timing[what]);
  const numerator = of(comparison.numerator, 'seconds');
  const denominator = of(comparison.denominator, 'seconds');
  const ratio = ratioOf(numerator, denominator);
  const { name, floor, goal } = comparison;
  const peaks = [comparison.numerator, comparison.denominator].map((work) =>
    Math.max(...(timings.get(workName(work)) ?? []).map(({ peakBytes }) => peakBytes ?? 0)),
  );
  return {
    name,
    ...ratio,
    ...(floor === undefined ? {} : { floor }),
    ...judge(ratio.ratio, goal),
    seconds: [median(numerator), median(denominator)],
    ...(steps === undefined || isForward(comparison.numerator)
      ? {}
      : {
          stepSeconds: [
            median(numerator) / stepsOf(comparison.numerator, steps),
            median(denominator) / stepsOf(comparison.denominator, steps),
          ],
        }),
    processorRatio: ratioOf(
      of(comparison.numerator, 'processorSeconds'),
      of(comparison.denominator, 'processorSeconds'),
    ).ratio,
    peakBytes: peaks.every((bytes) => bytes > 0) ? [peaks[0]!, peaks[1]!] : null,
  };
}

const isForward = (work: Work): boolean => work.side === 'own' && work.task === 'forward';

const stepsOf = (work: Work, steps: number): number => ('steps' in work && work.steps ? work.steps : steps);

/** What is said of a ratio. */
export function judge(ratio: number, goal: Comparison['goal']): Pick<Result, 'met' | 'goal'> {
  if (!goal) return { met: null, goal: '' };
  return 'atMost' in goal
    ? { met: ratio <= goal.atMost, goal: `<= ${goal.atMost.toFixed(3)}` }
    : { met: ratio >= goal.atLeast, goal: `>= ${goal.atLeast.toFixed(3)}` };
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

/** What `--report` writes: one run, with nothing left to guess. */
export function toReport(run: object, results: readonly Result[]): string {
  return `${JSON.stringify({ ...run, results }, null, 2)}\n`;
}

/** A Markdown table, columns aligned. */
export function toTable(results: readonly Result[]): string {
  const withMemory = results.some(({ peakBytes }) => peakBytes !== null);
  const rows = results.map(
    ({ name, ratio, quartiles, floor, goal, met, seconds, stepSeconds, processorRatio, samples, ...rest }) => [
      name,
      ratio.toFixed(3),
      quartiles.map((value) => value.toFixed(3)).join(' … '),
      processorRatio?.toFixed(3) ?? '',
      floor?.toFixed(3) ?? '',
      goal,
      met === null ? '' : met ? 'yes' : 'no',
      milliseconds(seconds),
      milliseconds(stepSeconds),
      String(samples),
      ...(withMemory ? [rest.peakBytes?.map((bytes) => (bytes / 1e6).toFixed(0)).join(' / ') ?? ''] : []),
    ],
  );
  const header = ['name', 'ratio', 'quartiles', 'CPU time', 'floor', 'goal', 'met', 'median ms', 'a step', 'samples'];
  if (withMemory) header.push('peak MB');
  const widths = header.map((title, column) => Math.max(...[header, ...rows].map((row) => row[column]!.length)));
  const line = (cells: string[]) => `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  return [line(header), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

const milliseconds = (values: Result['seconds'] | undefined): string =>
  values?.map((value) => (value * 1000).toFixed(1)).join(' / ') ?? '';
