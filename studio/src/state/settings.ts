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
  const text = JSON.stringify(settings.value);
  for (const place of ['tab', 'browser'] as const) {
    if (remember(place, name, text)) continue;
    // A large picture to start from does not fit: it is kept until the page is closed.
    remember(place, name, JSON.stringify({ ...settings.value, image: null, repaint: null }));
  }
});
