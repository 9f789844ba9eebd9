/** Pictures that are made, or being made: each has a place on the page. */
import { computed, signal } from '@preact/signals';

import type { ImageRequest, Plan } from '../api/types';

import { settings } from './settings';
import type { Progress } from './timeLeft';

export type RunState = 'waiting' | 'queued' | 'running' | 'done' | 'failed' | 'stopped';

export interface Run extends Progress {
  /** Where on the page it stands: `make/detail`, `sweep/2/3`. */
  place: string;
  request: ImageRequest;
  job: string | null;
  state: RunState;
  /** The current estimate, and then the picture, as an address for an image element. */
  picture: string | null;
  /** What `picture` is of: the one before stays in sight for a while. */
  pictureOf: ImageRequest | null;
  png: Uint8Array<ArrayBuffer> | null;
  width: number | null;
  height: number | null;
  plan: Plan | null;
  evaluations: number | null;
  seconds: number | null;
  warnings: string[];
  /** By step, its estimate, where there is one; kept where they are looked at again. */
  frames: (string | undefined)[];
  /** It is to go to the gallery, and is not there yet. */
  isToKeep: boolean;
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

export const fresh = (place: string, request: ImageRequest): Run => ({
  place,
  request,
  job: null,
  state: 'waiting',
  step: 0,
  steps: null,
  since: null,
  sinceStep: 0,
  picture: null,
  pictureOf: null,
  png: null,
  width: null,
  height: null,
  plan: null,
  evaluations: null,
  seconds: null,
  warnings: [],
  frames: [],
  isToKeep: false,
  problem: null,
});

/** In place of what stands there; null: nothing. */
export function put(place: string, run: Run | null): void {
  const before = runs.value[place]?.picture;
  if (before?.startsWith('blob:') && before !== run?.picture) URL.revokeObjectURL(before);
  const next: Record<string, Run> = { ...runs.value };
  if (run) next[place] = run;
  else delete next[place];
  runs.value = next;
}

export function update(place: string, part: Partial<Run>): void {
  const run = runs.value[place];
  if (run) put(place, { ...run, ...part });
}
