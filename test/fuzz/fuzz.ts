/** Many random cases, each in a process that may end; what ends badly is kept. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { buildChild, Child, type Ending } from '../hostile/pool';

import type { Kind } from './kinds';

/** Ends that are faults. */
const faults = ['crash', 'hang', 'untyped'];

export interface FuzzRequest {
  cases: number;
  /** Case number i has the seed `seed + i`. */
  seed: number;
  kinds: readonly Kind[];
  /** Folder for what ends badly; none is made when all is well. */
  keep: string;
  onCase?: (done: number, report: FuzzReport) => void;
}

export interface FuzzReport {
  cases: number;
  /** How many cases ended in what, by kind. */
  ends: Record<string, Record<string, number>>;
  faults: { kind: Kind; seed: number; ending: Ending }[];
}

export async function fuzz({ cases, seed, kinds, keep, onCase }: FuzzRequest): Promise<FuzzReport> {
  const work = mkdtempSync(join(tmpdir(), 'fuzz-'));
  const program = buildChild('test/fuzz/child.ts');
  const child = new Child(program, work);
  const report: FuzzReport = { cases: 0, ends: {}, faults: [] };
  try {
    for (let index = 0; index < cases; index++) {
      const kind = kinds[index % kinds.length]!;
      const ending = await child.run({ kind, seed: seed + index });
      count(report, kind, ending.end);
      if (faults.includes(ending.end)) {
        report.faults.push({ kind, seed: seed + index, ending });
        keepCase(join(keep, `${kind}-${seed + index}`), work, ending);
      }
      onCase?.(index + 1, report);
    }
    return report;
  } finally {
    await child.close();
    rmSync(program, { force: true });
    rmSync(work, { recursive: true, force: true });
  }
}

function count(report: FuzzReport, kind: Kind, end: string): void {
  const ends = (report.ends[kind] ??= {});
  ends[end] = (ends[end] ?? 0) + 1;
  report.cases++;
}

function keepCase(folder: string, work: string, ending: Ending): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'ending.txt'), `${ending.end}\n${ending.untyped ?? ''}\n`);
  if (existsSync(join(work, 'case'))) cpSync(join(work, 'case'), folder, { recursive: true });
}
