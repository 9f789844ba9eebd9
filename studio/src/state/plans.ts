/** What each view would compute, asked of the server whenever the settings change. */
import { effect, signal } from '@preact/signals';

import { postPlan, Refused } from '../api/client';
import type { ImageRequest, Planned, PresetName, Problem } from '../api/types';

import { bundle, refreshBundles, serverState } from './bundles';
import { requestOf, withDots } from './request';
import { settings } from './settings';
import { views } from './views';

export type PlanAnswer = { planned: Planned; problem: null } | { planned: null; problem: Problem };

export const plans = signal<Partial<Record<PresetName, PlanAnswer>>>({});

/** What the request would compute, from whichever seed. @throws Refused, Unreachable */
export const planFor = (request: ImageRequest, signalOfThis?: AbortSignal): Promise<Planned> =>
  // A plan depends on whether there are pictures, and the sizes are named.
  postPlan({ ...withDots(request), seed: 0 }, signalOfThis);

let pending: AbortController | null = null;
let timer: ReturnType<typeof setTimeout> | null = null;
/** Whose plans they are. */
let owner: string | null = null;
/** The bundle that the server said cannot be used. */
let gone: string | null = null;

effect(() => {
  const chosen = bundle.value;
  const current = settings.value;
  const names = views.value;
  if (!chosen || serverState.value !== 'here') return;
  // What another bundle would compute is not its.
  if (owner !== chosen.id) plans.value = {};
  owner = chosen.id;
  if (timer) clearTimeout(timer);
  timer = setTimeout(() => {
    pending?.abort();
    pending = new AbortController();
    void ask(names, pending.signal);
  }, 120);

  async function ask(names: readonly PresetName[], signalOfThis: AbortSignal): Promise<void> {
    const answers = await Promise.all(
      names.map(async (view): Promise<[PresetName, PlanAnswer] | null> => {
        try {
          const planned = await planFor(requestOf(current, view, chosen!), signalOfThis);
          return [view, { planned, problem: null }];
        } catch (error) {
          return error instanceof Refused ? [view, { planned: null, problem: error.problem }] : null;
        }
      }),
    );
    if (signalOfThis.aborted) return;
    const known = answers.filter((answer) => answer !== null);
    if (known.length > 0) plans.value = Object.fromEntries(known);
    // It was loaded by the first plan, and now says how many blocks it has; or it is gone, or of another server.
    const isLoaded = chosen!.layers === null && known.some(([, { planned }]) => planned);
    const isGone = known.some(([, { problem }]) => problem?.code.includes('BUNDLE'));
    // Once: the list is planned for anew.
    if (isLoaded || (isGone && gone !== chosen!.id)) void refreshBundles();
    gone = isGone ? chosen!.id : null;
  }
});
