/** What BullMQ says of a job, in the server's words. */
import type { Job as BullJob, JobType } from 'bullmq';

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
export const queueStates: Record<JobState, JobType[]> = {
  queued: ['waiting', 'prioritized', 'delayed'],
  running: ['active'],
  done: ['completed'],
  failed: ['failed'],
  cancelled: ['failed'],
};

export function summaryOf(bull: BullJob<RemoteRequest>, state: JobState): JobSummary {
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
