/** Which views of the settings stand side by side, and which of them is explained. */
import { effect, signal } from '@preact/signals';

import type { PresetName } from '../api/types';

import { linkedViews } from './request';

const key = 'detail-guidance.views';

function remembered(): PresetName[] {
  try {
    const names = JSON.parse(localStorage.getItem(key) ?? 'null') as PresetName[] | null;
    if (Array.isArray(names) && names.length > 0) return names;
  } catch {
    // As if there were none.
  }
  return [...linkedViews];
}

export const views = signal<PresetName[]>(remembered());
/** Whose plan is shown. */
export const selected = signal<PresetName>(views.value.at(-1)!);

effect(() => localStorage.setItem(key, JSON.stringify(views.value)));

export function addView(view: PresetName): void {
  if (!views.value.includes(view)) views.value = [...views.value, view];
  selected.value = view;
}

export function removeView(view: PresetName): void {
  if (views.value.length === 1) return;
  views.value = views.value.filter((name) => name !== view);
  if (selected.value === view) selected.value = views.value.at(-1)!;
}
