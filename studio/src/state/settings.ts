/** What a picture is to be made of: one object, changed as a whole, kept for the tab and for the next one. */
import { computed, effect, signal } from '@preact/signals';

import { recallJson, remember } from '../storage';

import { initialSettings, type Settings } from './initialSettings';
import { soundSettings } from './sound';

export { initialSettings, type GridMask, type Settings } from './initialSettings';

const name = 'settings';
const memories = { tab: recallJson('tab', name), browser: recallJson('browser', name) };
/** Whose they are: of this tab, of the last one, or of nobody. */
const source = memories.tab !== null ? 'tab' : memories.browser !== null ? 'browser' : null;
const memory = soundSettings(source && memories[source]);

export function completed(part: Partial<Settings>): Settings {
  return {
    ...initialSettings,
    ...part,
    cfg: { ...initialSettings.cfg, ...part.cfg },
    detail: { ...initialSettings.detail, ...part.detail },
  };
}

/** A tab that is loaded again; in a new one another server may stand at the same address. */
export const isSameTab = source === 'tab';
/** Nothing was remembered: the bundle's own defaults are to be taken. */
export const isFirstVisit = source === null;
export const settings = signal<Settings>(memory.settings);
export const cfg = computed(() => settings.value.cfg);
export const detail = computed(() => settings.value.detail);

export function change(part: Partial<Settings>): void {
  settings.value = { ...settings.value, ...part };
}

export function changeCfg(part: Partial<Settings['cfg']>): void {
  change({ cfg: { ...settings.value.cfg, ...part } });
}

export function changeDetail(part: Partial<Settings['detail']>): void {
  change({ detail: { ...settings.value.detail, ...part } });
}

effect(() => {
  // A picture to start from is large: the tab has it, where there is room, and the next one begins without.
  const light = JSON.stringify({ ...settings.value, image: null, repaint: null });
  if (!remember('tab', name, JSON.stringify(settings.value))) remember('tab', name, light);
  remember('browser', name, light);
});
