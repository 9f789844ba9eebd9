/** Pictures that are being made: each has a place on the page, and a job of the server's. */
import { computed, effect, signal } from '@preact/signals';

import { cancelJob, getHealth, getJob, getPicture, postJob, Refused, Unreachable } from '../api/client';
import { jobEvents } from '../api/events';
import { pause } from '../api/pause';
import type { ImageRequest, Plan } from '../api/types';
import { setProgress } from '../host';
import { forget, recallJson, remember } from '../storage';

import { Pace } from './pace';
import { previews } from './previews';
import { settings } from './settings';
import { entriesOf } from './sound';

export type RunState = 'waiting' | 'queued' | 'running' | 'done' | 'failed' | 'stopped';

export interface Run {
  /** Where on the page it stands: `make/detail`, `sweep/2/3`. */
  place: string;
  request: ImageRequest;
  job: string | null;
  state: RunState;
  step: number;
  steps: number | null;
  /** When its first step was told, for the time that is left. */
  since: number | null;
  /** The current estimate, and then the picture, as an address for an image element. */
  picture: string | null;
  png: Uint8Array<ArrayBuffer> | null;
  width: number | null;
  height: number | null;
  plan: Plan | null;
  evaluations: number | null;
  seconds: number | null;
  warnings: string[];
  /** By step, its estimate, where there is one; kept where they are looked at again. */
  frames: (string | undefined)[];
  /** What went wrong, as a sentence. */
  problem: { code: string; message: string } | null;
}

export const runs = signal<Readonly<Record<string, Run>>>({});
const active: ReadonlySet<RunState> = new Set(['waiting', 'queued', 'running']);

export const isActive = (run: Run | undefined): boolean => run !== undefined && active.has(run.state);
export const activeRuns = computed(() => Object.values(runs.value).filter(isActive));
export const activeIn = (prefix: string) => activeRuns.value.filter(({ place }) => place.startsWith(prefix));

/** What is made at a place of the page with the chosen bundle; pictures of another one are not shown as if they were its. */
export function runAt(place: string): Run | undefined {
  const run = runs.value[place];
  return run?.request.bundle === settings.value.bundle ? run : undefined;
}

/** Told of every picture that is done. */
export const onDone = new Set<(run: Run) => void>();

/** Jobs that one page has at the server at a time: a contact sheet must not fill the queue for others. */
const mostJobs = 5;
const waiting: string[] = [];
const aborts = new Map<string, AbortController>();
let atServer = 0;

/** When the page is loaded again. */
const isTakenUp = (place: string) => place.startsWith('make/');
const isWatchedByStep = (place: string) => place.startsWith('inside/');

const fresh = (place: string, request: ImageRequest): Run => ({
  place,
  request,
  job: null,
  state: 'waiting',
  step: 0,
  steps: null,
  since: null,
  picture: null,
  png: null,
  width: null,
  height: null,
  plan: null,
  evaluations: null,
  seconds: null,
  warnings: [],
  frames: [],
  problem: null,
});

function update(place: string, part: Partial<Run>): void {
  const run = runs.value[place];
  if (!run) return;
  if (part.picture && run.picture?.startsWith('blob:')) URL.revokeObjectURL(run.picture);
  runs.value = { ...runs.value, [place]: { ...run, ...part } };
}

/** Makes a picture at a place of the page, in place of what is made there now. */
export function start(place: string, request: ImageRequest): void {
  stop(place);
  const before = runs.value[place];
  // The picture before stays in sight until there is something of the new one, but for another bundle's.
  const picture = before?.request.bundle === request.bundle ? (before?.picture ?? null) : null;
  runs.value = { ...runs.value, [place]: { ...fresh(place, request), picture } };
  waiting.push(place);
  work();
}

/** Ends what is made at a place; what is there stays. */
export function stop(place: string): void {
  const run = runs.value[place];
  if (!run || !isActive(run)) return;
  const at = waiting.indexOf(place);
  if (at >= 0) waiting.splice(at, 1);
  update(place, { state: 'stopped' });
  aborts.get(place)?.abort();
  if (run.job) void cancelJob(run.job).catch(() => undefined);
}

export function stopAll(prefix: string): void {
  for (const { place } of activeIn(prefix)) stop(place);
}

function work(): void {
  while (atServer < mostJobs) {
    const place = waiting.shift();
    if (place === undefined) return;
    const run = runs.value[place];
    if (!run || run.state !== 'waiting') continue;
    atServer++;
    const abort = new AbortController();
    aborts.set(place, abort);
    void follow(place, run, abort.signal).finally(() => {
      atServer--;
      if (aborts.get(place) === abort) aborts.delete(place);
      work();
    });
  }
}

async function follow(place: string, run: Run, signalOfRun: AbortSignal): Promise<void> {
  const news = new Pace<Run>((part) => {
    if (!signalOfRun.aborted) update(place, part);
  });
  const tell = (part: Partial<Run>) => news.tell(part);
  const known = () => ({ ...runs.value[place], ...news.latest });
  try {
    const job = run.job ?? (await submit(place, run.request, signalOfRun));
    if (signalOfRun.aborted) {
      if (job) await cancelJob(job).catch(() => undefined);
      return;
    }
    if (!job) return;
    tell({ job, state: 'queued' });
    for await (const event of jobEvents(job, signalOfRun)) {
      switch (event.name) {
        case 'started':
          tell({ state: 'running' });
          break;
        case 'step':
          news.tellSoon({
            state: 'running',
            step: event.data.step,
            steps: event.data.steps,
            since: known().since ?? performance.now(),
          });
          break;
        case 'preview': {
          const { step, png, width, height } = event.data;
          const picture = `data:image/png;base64,${png}`;
          const frames = [...(known().frames ?? [])];
          if (isWatchedByStep(place)) frames[step - 1] = picture;
          news.tellSoon({ picture, width, height, frames });
          break;
        }
        case 'warning':
          tell({ warnings: [...(runs.value[place]?.warnings ?? []), event.data.message] });
          break;
        case 'done':
          await finish(place, job, tell);
          break;
        case 'failed':
          tell({ state: 'failed', problem: event.data });
          break;
        case 'cancelled':
          // Not by this page, which does not listen any more to what it stopped.
          tell({ state: 'failed', problem: { code: 'CANCELLED', message: 'The server stopped it. Make it again.' } });
          // A server that ends does so first: whether it is still there is seen by asking.
          void pause(1500, signalOfRun)
            .then(getHealth)
            .catch(() => undefined);
          break;
      }
    }
  } catch (error) {
    tell({ state: 'failed', problem: sentenceOf(error) });
  }
}

async function submit(place: string, request: ImageRequest, signalOfRun: AbortSignal): Promise<string | null> {
  // What is looked at step by step later has one of every step.
  const preview = isWatchedByStep(place) || previews.value;
  while (!signalOfRun.aborted) {
    try {
      return (await postJob({ ...request, preview })).id;
    } catch (error) {
      // Others fill the queue: it is tried again, as the server says.
      if (!(error instanceof Refused) || error.status !== 429) throw error;
      await pause(1000 * (error.retryAfter ?? 2), signalOfRun);
    }
  }
  return null;
}

async function finish(place: string, job: string, tell: (part: Partial<Run>) => void): Promise<void> {
  const { images, plan, evaluations, seconds } = await getJob(job);
  const [image] = images ?? [];
  if (!image) throw new Error('The job is done and has no picture.');
  const png = (await getPicture(image.url)) as Uint8Array<ArrayBuffer>;
  tell({
    state: 'done',
    png,
    picture: URL.createObjectURL(new Blob([png], { type: 'image/png' })),
    width: image.width,
    height: image.height,
    plan: plan ?? null,
    evaluations: evaluations ?? null,
    seconds: seconds ?? null,
  });
  const run = runs.value[place];
  if (run?.job === job) for (const listener of onDone) listener(run);
}

function sentenceOf(error: unknown): { code: string; message: string } {
  if (error instanceof Refused && error.code === 'UNKNOWN_JOB') {
    return { code: error.code, message: 'The server was started anew and does not know this picture. Make it again.' };
  }
  if (error instanceof Refused) return { code: error.code, message: error.message };
  if (error instanceof Unreachable) return { code: 'UNREACHABLE', message: error.message };
  return { code: 'INTERNAL', message: error instanceof Error ? error.message : String(error) };
}

/** How long it still takes, in seconds; null while too little is known. */
export function secondsLeft({ state, step, steps, since }: Run): number | null {
  if (state !== 'running' || since === null || steps === null || step < 2) return null;
  return (((performance.now() - since) / (step - 1)) * (steps - step)) / 1000;
}

/** What this tab was making when it was left. */
function unfinished(): Pick<Run, 'place' | 'request' | 'job'>[] {
  const list = recallJson('tab', 'runs');
  if (!Array.isArray(list)) return [];
  return list.flatMap((entry) => {
    const { place, request, job } = entriesOf(entry);
    if (typeof place !== 'string' || !isTakenUp(place) || (job !== null && typeof job !== 'string')) return [];
    return [{ place, request: entriesOf(request) as ImageRequest, job }];
  });
}

/** What was going on when the page was left is taken up again. */
export function resume(): void {
  for (const { place, request, job } of unfinished()) {
    runs.value = { ...runs.value, [place]: { ...fresh(place, request), job } };
    waiting.push(place);
  }
  effect(() => {
    const entries = Object.values(runs.value)
      .filter((run) => isTakenUp(run.place) && (isActive(run) || run.state === 'done'))
      .map(({ place, request, job }) => ({ place, request, job }));
    if (!remember('tab', 'runs', JSON.stringify(entries))) forget('runs');
  });
  addEventListener('pagehide', ({ persisted }) => {
    // Nobody waits any more for what is not taken up again.
    if (!persisted) activeRuns.value.filter(({ place }) => !isTakenUp(place)).forEach(({ place }) => stop(place));
  });
  effect(() => {
    const all = activeRuns.value;
    if (all.length === 0) return setProgress(null);
    setProgress(all.reduce((sum, { step, steps }) => sum + (steps ? step / steps : 0), 0) / all.length);
  });
  work();
}
