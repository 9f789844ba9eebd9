/** How long jobs that have ended stay in memory. */
import type { Job } from './job';

export interface Keeping {
  /** Seconds after its end for which a job can be asked for. */
  keepSeconds: number;
  /** Bytes of jobs that have ended, pictures above all: beyond them the oldest go first. The latest job stays. */
  keepBytes: number;
}

export function forgetOld(jobs: Map<string, Job>, { keepSeconds, keepBytes }: Keeping): void {
  const oldest = Date.now() - keepSeconds * 1000;
  const ended = [...jobs.values()].filter(({ hasEnded }) => hasEnded).sort((a, b) => a.ended! - b.ended!);
  let bytes = ended.reduce((sum, job) => sum + job.bytes, 0);
  for (const [at, job] of ended.entries()) {
    const isTooMuch = bytes > keepBytes && at < ended.length - 1;
    if (job.ended! >= oldest && !isTooMuch) return;
    bytes -= job.bytes;
    jobs.delete(job.id);
  }
}
