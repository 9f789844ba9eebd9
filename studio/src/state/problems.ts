/** What the server says is wrong with the settings, by the option that it names. */
import { computed } from '@preact/signals';

import type { Problem } from '../api/types';

import { bundle } from './bundles';
import { plans } from './plans';
import { detail } from './settings';
import { selected } from './views';

/** Of the selected view first; of another one where that one is fine. */
export const problem = computed(() => {
  const own = plans.value[selected.value]?.problem;
  return own ?? Object.values(plans.value).find((answer) => answer?.problem)?.problem ?? null;
});

const option = /^(?:options|body)\.([\w.]+)(?:\[\d+\])?: /;

/** The server's sentence without the option's path; what is to be done, where the page knows it. */
export function inWords({ message }: Pick<Problem, 'message'>): string {
  const { layer, channels } = detail.value;
  const isUnsaid = layer === 'auto' || channels === 'auto';
  const [, path = ''] = option.exec(message) ?? [];
  return bundle.value?.massiveActivations === null && isUnsaid && /^guidance\.\w+\.(layer|channels)$/.test(path)
    ? 'This bundle records no massive activations: pick a layer and channels in the chart below the pictures.'
    : message.replace(option, '');
}

/** The sentence for the control of an option, `guidance.detail.layer`. */
export function problemAt(name: string): string | null {
  const current = problem.value;
  if (!current) return null;
  const [, path = ''] = /^(?:options|body)\.([\w.]+)/.exec(current.message) ?? [];
  return path === name || path.startsWith(`${name}.`) ? inWords(current) : null;
}
