/** The server: what it offers, and whether it is there. */
import { computed, signal } from '@preact/signals';

import { getBundles, getHealth, getOpenApi, reachability, Refused, Unreachable } from '../api/client';
import type { BrokenBundle, BundleInfo, ForcedLoad, PresetName } from '../api/types';

import { change, changeDetail, isFirstVisit, isSameTab, settings } from './settings';
import { entriesOf, firstOf, soundSettings } from './sound';

type Json = Record<string, unknown>;

/** Locked: to those without its token. Foreign: it answers this page's address not at all. */
export type ServerState = 'connecting' | 'here' | 'silent' | 'locked' | 'foreign';

export const serverState = signal<ServerState>('connecting');
export const offered = signal<(BundleInfo | BrokenBundle)[]>([]);
export const presets = signal<PresetName[]>([]);
/** How the server was told to load bundles; null where it does not say. */
export const forcedLoad = signal<ForcedLoad | null>(null);
/** The server's /openapi.json, where the limits of options are. */
export const openApi = signal<Json | null>(null);

const isBroken = (bundle: BundleInfo | BrokenBundle): bundle is BrokenBundle => 'error' in bundle;

/** Those that can be used. */
export const bundles = computed(() => offered.value.filter((entry): entry is BundleInfo => !isBroken(entry)));
/** The chosen one; null while nothing is known, and when it is gone. */
export const bundle = computed<BundleInfo | null>(() => {
  const { bundle: name } = settings.value;
  return (name === null ? bundles.value[0] : bundles.value.find(({ id }) => id === name)) ?? null;
});
/** Whether pictures can be made: the page has no way to give tensors. */
export const isReady = computed(() => bundle.value !== null && bundle.value.tensors.length === 0);
/** The chosen one was offered once and is not any more. */
export const missingBundle = computed(() => {
  const { bundle: name } = settings.value;
  if (name === null || bundle.value || serverState.value !== 'here') return null;
  const broken = offered.value.find((entry): entry is BrokenBundle => entry.id === name && isBroken(entry));
  return { name, code: broken?.error.code ?? null };
});

/** Bundles that cannot be used, where there is none that can. */
export const allBroken = computed(() =>
  serverState.value === 'here' && bundles.value.length === 0 ? offered.value.filter(isBroken) : [],
);

/** The server's version, where it is not the page's. */
export const otherVersion = computed(() => {
  const version = (openApi.value?.['info'] as Json | undefined)?.['version'];
  return typeof version === 'string' && version !== __VERSION__ ? version : null;
});

let waiting: ReturnType<typeof setTimeout> | null = null;

/** Asks the server what it has; again until it answers. */
export async function connect(): Promise<void> {
  try {
    const [{ bundles: list, presets: names, load = null }, document] = await Promise.all([getBundles(), getOpenApi()]);
    offered.value = list;
    presets.value = names;
    forcedLoad.value = load;
    openApi.value = document;
    serverState.value = 'here';
    settle();
  } catch (error) {
    if (error instanceof Refused && error.status === 401) return;
    if (error instanceof Unreachable || error instanceof Refused) waitForServer();
    else throw error;
  }
}

function waitForServer(): void {
  serverState.value = 'silent';
  waiting ??= setTimeout(() => {
    waiting = null;
    void getHealth().then(connect, waitForServer);
  }, 1500);
}

reachability.onSilence = waitForServer;
reachability.onLocked = (to) => (serverState.value = to);

/** The bundle list again: layers are known once a bundle was loaded, and a bundle may have gone. */
export async function refreshBundles(): Promise<void> {
  if (serverState.value === 'here') await connect();
}

let isFirstAnswer = true;

/**
 * The settings name the bundle that they are for, so that another one in its place is noticed. What another tab left, perhaps
 * days ago at another server, is not missed: the page begins with the first bundle.
 */
function settle(): void {
  const first = bundles.value[0];
  if (!first) return;
  const { bundle: name } = settings.value;
  const isForeign = !isSameTab && !offered.value.some(({ id }) => id === name);
  if (isFirstAnswer && (isFirstVisit || isForeign)) takeBundle(first.id);
  else if (name === null) change({ bundle: first.id });
  isFirstAnswer = false;
}

/** Another bundle, with its own guidance, size and sampler. */
export function takeBundle(id: string): void {
  change({ bundle: id });
  const chosen = bundle.value;
  if (!chosen) return;
  if (settings.value.classLabel >= classNames(chosen).length) change({ classLabel: 0 });
  takeDefaults(chosen);
  change({ width: null, height: null, numFrames: null });
  changeDetail({ tokens: null });
}

/** The bundle's own guidance and sampling into the settings. */
export function takeDefaults({ defaults }: BundleInfo): void {
  const { classifierFree, detail } = entriesOf(entriesOf(defaults)['guidance']);
  const own = entriesOf(firstOf(detail));
  const { cfg, detail: ownDetail } = soundSettings({
    cfg: classifierFree,
    detail: { ...own, layer: firstOf(own['layer']), tokens: null },
  }).settings;
  const { tokens } = settings.value.detail;
  change({ cfg, detail: { ...ownDetail, tokens }, steps: null, sampler: null, embedded: null });
}

/** Names of the classes of a model that has some; numbers where it names none. */
export function classNames({ classes }: BundleInfo): readonly string[] {
  return Array.isArray(classes) ? classes : Array.from({ length: classes ?? 0 }, (_, index) => `class ${index}`);
}
