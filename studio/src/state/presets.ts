/** Settings under a name, kept in the browser. */
import { effect, signal } from '@preact/signals';

import { completed, settings, type Settings } from './settings';

export interface NamedSettings {
  name: string;
  /** Guidance and sampling; what is drawn, and from which seed, stays as it is. */
  part: Pick<Settings, 'cfg' | 'detail' | 'steps' | 'sampler'>;
}

const key = 'detail-guidance.presets';

function remembered(): NamedSettings[] {
  try {
    const list = JSON.parse(localStorage.getItem(key) ?? '[]') as NamedSettings[];
    return Array.isArray(list) ? list : [];
  } catch {
    return [];
  }
}

export const named = signal<readonly NamedSettings[]>(remembered());

effect(() => localStorage.setItem(key, JSON.stringify(named.value)));

/** In place of the one of the same name. */
export function saveAs(name: string): void {
  const { cfg, detail, steps, sampler } = settings.value;
  const others = named.value.filter((preset) => preset.name !== name);
  named.value = [...others, { name, part: { cfg, detail, steps, sampler } }];
}

export function takePreset({ part }: NamedSettings): void {
  settings.value = completed({ ...settings.value, ...part });
}

export function removePreset(name: string): void {
  named.value = named.value.filter((preset) => preset.name !== name);
}
