/** The server: what it offers, and whether it is there. */
import { computed, signal } from '@preact/signals';

import { getBundles, getHealth, getOpenApi, reachability, Refused, Unreachable } from '../api/client';
import type { BrokenBundle, BundleInfo, PresetName } from '../api/types';

import { change, changeCfg, changeDetail, isFirstVisit, settings } from './settings';

type Json = Record<string, unknown>;

export type ServerState = 'connecting' | 'here' | 'silent' | 'locked';

export const serverState = signal<ServerState>('connecting');
export const offered = signal<(BundleInfo | BrokenBundle)[]>([]);
export const presets = signal<PresetName[]>([]);
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
/** The chosen one was offered once and is not any more. */
export const missingBundle = computed(() => {
  const { bundle: name } = settings.value;
  if (name === null || bundle.value || serverState.value !== 'here') return null;
  const broken = offered.value.find((entry): entry is BrokenBundle => entry.id === name && isBroken(entry));
  return { name, code: broken?.error.code ?? null };
});

/** The server's version, where it is not the page's. */
export const otherVersion = computed(() => {
  const version = (openApi.value?.['info'] as Json | undefined)?.['version'];
  return typeof version === 'string' && version !== __VERSION__ ? version : null;
});

let waiting: ReturnType<typeof setTimeout> | null = null;

/** Asks the server what it has; again until it answers. */
export async function connect(): Promise<void> {
  try {
    const [{ bundles: list, presets: names }, document] = await Promise.all([getBundles(), getOpenApi()]);
    offered.value = list;
    presets.value = names;
    openApi.value = document;
    serverState.value = 'here';
    takeDefaultsOnce();
  } catch (error) {
    if (error instanceof Refused && error.status === 401) serverState.value = 'locked';
    else if (error instanceof Unreachable || error instanceof Refused) waitForServer();
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

/** The bundle list again: layers are known once a bundle was loaded, and a bundle may have gone. */
export async function refreshBundles(): Promise<void> {
  if (serverState.value === 'here') await connect();
}

let hasDefaults = !isFirstVisit;

function takeDefaultsOnce(): void {
  if (hasDefaults || !bundle.value) return;
  hasDefaults = true;
  takeDefaults(bundle.value);
}

/** The bundle's own guidance into the settings. */
export function takeDefaults(from: BundleInfo): void {
  const { guidance } = from.defaults as { guidance?: { classifierFree?: object; detail?: object | object[] } };
  changeCfg({ scale: 4, start: 0, stop: 1, ...guidance?.classifierFree });
  const own = Array.isArray(guidance?.detail) ? (guidance.detail[0] as object) : guidance?.detail;
  changeDetail({ scale: 0.3, layer: 'auto', channels: 'auto', retention: 0, start: 0, stop: 1, tokens: null, ...own });
  change({ steps: null, sampler: null, width: null, height: null });
}
