/** What a picture is to be made of: one object, changed as a whole, kept for the tab and for the next one. */
import { computed, effect, signal } from '@preact/signals';

import type { Retention } from '../api/types';

/** Chosen cells of a grid, row by row, 1 or 0. */
export interface GridMask {
  rows: number;
  columns: number;
  cells: number[];
}

export interface Settings {
  /** Name of a bundle of the server's; null: its first. */
  bundle: string | null;
  classLabel: number;
  prompt: string;
  negativePrompt: string;
  /** In pixels; null: the bundle's. */
  width: number | null;
  height: number | null;
  seed: number;
  /** Whether "make" keeps the seed. */
  seedLocked: boolean;
  /** Null: the bundle's. */
  steps: number | null;
  sampler: string | null;
  cfg: { scale: number; start: number; stop: number };
  detail: {
    scale: number;
    layer: 'auto' | number;
    channels: 'auto' | number[];
    retention: Retention;
    start: number;
    stop: number;
    /** Local Detail Guidance: the image tokens that are disrupted; null: all. */
    tokens: GridMask | null;
  };
  /** A PNG, JPEG or WebP as data URL, to start from. */
  image: string | null;
  strength: number;
  /** Where `image` is painted anew; null: everywhere. */
  repaint: GridMask | null;
}

export const initialSettings: Settings = {
  bundle: null,
  classLabel: 0,
  prompt: '',
  negativePrompt: '',
  width: null,
  height: null,
  seed: 7,
  seedLocked: true,
  steps: null,
  sampler: null,
  cfg: { scale: 4, start: 0, stop: 1 },
  detail: { scale: 0.3, layer: 'auto', channels: 'auto', retention: 0, start: 0, stop: 1, tokens: null },
  image: null,
  strength: 0.6,
  repaint: null,
};

const key = 'detail-guidance.settings';

/** What was kept by this tab, or by the last one; parts that an older page did not know are the initial ones. */
function remembered(): { settings: Settings; fresh: boolean } {
  try {
    const text = sessionStorage.getItem(key) ?? localStorage.getItem(key);
    if (text !== null) return { settings: completed(JSON.parse(text) as Partial<Settings>), fresh: false };
  } catch {
    // Written by something else: as if there were none.
  }
  return { settings: initialSettings, fresh: true };
}

export function completed(part: Partial<Settings>): Settings {
  return {
    ...initialSettings,
    ...part,
    cfg: { ...initialSettings.cfg, ...part.cfg },
    detail: { ...initialSettings.detail, ...part.detail },
  };
}

const memory = remembered();

/** Nothing was remembered: the bundle's own defaults are to be taken. */
export const isFirstVisit = memory.fresh;
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
  for (const storage of [sessionStorage, localStorage]) {
    try {
      storage.setItem(key, text);
    } catch {
      // A large picture to start from does not fit: it is kept until the page is closed.
      storage.setItem(key, JSON.stringify({ ...settings.value, image: null, repaint: null }));
    }
  }
});
