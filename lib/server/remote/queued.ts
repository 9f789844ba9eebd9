/** What BullMQ says of a job, in the server's words. */
import type { Job as BullJob, JobType, Queue } from 'bullmq';

import type { JobState, JobSummary } from '../job';
import type { Problem } from '../problem';

import type { RemoteRequest } from './protocol';

/** Why a job failed. */
export function problemIn(reason: string): Problem {
  let problem: Partial<Problem> = {};
  try {
    problem = JSON.parse(reason) as Partial<Problem>;
  } catch {
    // A worker that died too often: BullMQ's own words.
  }
  return { code: 'INTERNAL', message: reason, type: 'server_error', ...problem };
}

/** Of a job that somebody else put there it may say nothing. */
export const bundleOf = ({ data }: { data: RemoteRequest | null }): string => data?.bundle ?? 'unknown';

/** Where the queue has jobs of a state. One that was cancelled while it ran has failed for BullMQ. */
const queueStates: Record<JobState, JobType[]> = {
  queued: ['waiting', 'prioritized', 'delayed'],
  running: ['active'],
  done: ['completed'],
  failed: ['failed'],
  cancelled: ['failed'],
};

function summaryOf(bull: BullJob<RemoteRequest>, state: JobState): JobSummary {
  const { id, timestamp, finishedOn, failedReason } = bull;
  const problem = state === 'failed' || state === 'cancelled' ? problemIn(failedReason) : null;
  const isCancelled = problem?.code === 'CANCELLED';
  return {
    id: id!,
    bundle: bundleOf(bull),
    state: problem ? (isCancelled ? 'cancelled' : 'failed') : state,
    created: new Date(timestamp).toISOString(),
    ended: finishedOn === undefined ? null : new Date(finishedOn).toISOString(),
    ...(problem && !isCancelled ? { error: problem } : {}),
  };
}

/** Jobs that are read at once, at least. */
const leastJobs = 100;

/** At least so many of the latest jobs of a queue in a state, where it has them: those that failed and were cancelled are one list. */
export async function summariesIn(
  queue: Queue<RemoteRequest>,
  state: JobState,
  limit: number,
  signal: AbortSignal,
): Promise<JobSummary[]> {
  const summaries = new Map<string, JobSummary>();
  const jobCount = Math.max(limit, leastJobs);
  for (let start = 0; summaries.size < limit; start += jobCount) {
    signal.throwIfAborted();
    const page = await queue.getJobs(queueStates[state], start, start + jobCount - 1, false);
    if (page.length === 0) break;
    for (const summary of page.map((bull) => summaryOf(bull, state))) {
      if (summary.state === state) summaries.set(summary.id, summary);
    }
  }
  return [...summaries.values()];
}
