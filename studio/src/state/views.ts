/** Which views of the settings stand side by side, and which of them is explained. */
import { computed, effect, signal } from '@preact/signals';

import { preset, presetNames } from '../../../lib/guidance/presets';
import type { BundleInfo, PresetName } from '../api/types';
import { recallJson, remember } from '../storage';

import { bundle, presets } from './bundles';
import { linkedViews } from './request';

function remembered(): PresetName[] {
  const list = recallJson('browser', 'views');
  const names = new Set(Array.isArray(list) ? (list as PresetName[]).filter((name) => presetNames.includes(name)) : []);
  return names.size > 0 ? [...names] : [...linkedViews];
}

/** Classifier-free guidance has to have something to be unconditional on. */
const applies = (view: PresetName, of: BundleInfo | null): boolean =>
  of === null || of.unconditional || !('classifierFree' in preset(view));

const chosen = signal<PresetName[]>(remembered());
const clicked = signal<PresetName | null>(null);

/** Those of the chosen ones that the bundle has. */
export const views = computed<PresetName[]>(() => {
  const here = chosen.value.filter((view) => applies(view, bundle.value));
  return here.length > 0 ? here : ['conditional'];
});
/** Whose plan is shown. */
export const selected = computed<PresetName>(() =>
  clicked.value && views.value.includes(clicked.value) ? clicked.value : views.value.at(-1)!,
);
/** All techniques that the bundle has. */
export const techniques = computed<PresetName[]>(() =>
  presetNames.filter((view) => presets.value.includes(view) && applies(view, bundle.value)),
);

/** A technique, or what is left of it where the bundle has no classifier-free guidance. */
export function hereOf(view: PresetName): PresetName {
  if (applies(view, bundle.value)) return view;
  return techniques.value.find((name) => name === view.replace('+cfg', '')) ?? 'conditional';
}

effect(() => void remember('browser', 'views', JSON.stringify(chosen.value)));

export function select(view: PresetName): void {
  clicked.value = view;
}

export function addView(view: PresetName): void {
  if (!chosen.value.includes(view)) chosen.value = [...chosen.value, view];
  select(view);
}

export function removeView(view: PresetName): void {
  if (views.value.length === 1) return;
  chosen.value = chosen.value.filter((name) => name !== view);
}
