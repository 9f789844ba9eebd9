/** What a tab was making when it was left, or had made, is taken up again when it is loaded again. */
import { computed, effect } from '@preact/signals';

import type { ImageRequest } from '../api/types';
import { setProgress } from '../host';
import { forget, recallJson, remember } from '../storage';

import { isOfFirstPage, stop, takeUp } from './making';
import { withDots } from './request';
import { activeRuns, fresh, isActive, put, runs, type Run } from './runs';
import { entriesOf } from './sound';

const name = 'runs';

type Left = Pick<Run, 'place' | 'request' | 'job' | 'isToKeep'> & { isDone: boolean };

function left(): Left[] {
  const list = recallJson('tab', name);
  if (!Array.isArray(list)) return [];
  return list.flatMap((entry) => {
    const { place, request, job, isToKeep, isDone } = entriesOf(entry);
    if (typeof place !== 'string' || !isOfFirstPage(place) || (job !== null && typeof job !== 'string')) return [];
    const flags = { isToKeep: isToKeep === true, isDone: isDone === true };
    return [{ place, request: entriesOf(request) as ImageRequest, job, ...flags }];
  });
}

/** A job has its picture to start from: what may be megabytes is not written again for each. */
function entryOf({ place, request, job, isToKeep, state }: Run): Left {
  const { maskImage } = request;
  const light = { ...withDots(request), ...(maskImage && { maskImage }) };
  return { place, request: job === null ? request : light, job, isToKeep, isDone: state === 'done' };
}

const entries = computed(() => {
  const all = Object.values(runs.value).filter((run) => isOfFirstPage(run.place));
  return all.filter((run) => isActive(run) || run.state === 'done').map(entryOf);
});
/** As texts, which are compared: with most news there is nothing new to write. */
const whole = computed(() => JSON.stringify(entries.value));
const withJobs = computed(() => JSON.stringify(entries.value.filter(({ job }) => job !== null)));

async function goOn({ place, request, job, isToKeep, isDone }: Left): Promise<void> {
  const run = { ...fresh(place, request), job, isToKeep };
  put(place, run);
  await takeUp(run);
  // The server forgets pictures after a while: those that were seen are missed by nobody.
  const { problem } = runs.value[place] ?? {};
  if (isDone && problem?.code === 'UNKNOWN_JOB') put(place, null);
}

export function resume(): void {
  for (const run of left()) void goOn(run);
  effect(() => {
    if (!remember('tab', name, whole.value) && !remember('tab', name, withJobs.value)) forget(name);
  });
  addEventListener('pagehide', ({ persisted }) => {
    // Nobody waits any more for what is not taken up again.
    if (!persisted) activeRuns.value.filter(({ place }) => !isOfFirstPage(place)).forEach(({ place }) => stop(place));
  });
  effect(() => {
    const all = activeRuns.value;
    if (all.length === 0) return setProgress(null);
    setProgress(all.reduce((sum, { step, steps }) => sum + (steps ? step / steps : 0), 0) / all.length);
  });
}
