/** What the server says is wrong with the settings, by the option that it names. */
import { computed } from '@preact/signals';

import { plans } from './plans';
import { selected } from './views';

/** Of the selected view first; of another one where that one is fine. */
export const problem = computed(() => {
  const own = plans.value[selected.value]?.problem;
  return own ?? Object.values(plans.value).find((answer) => answer?.problem)?.problem ?? null;
});

/** The sentence for the control of an option, `guidance.detail.layer`. */
export function problemAt(option: string): string | null {
  const current = problem.value;
  if (!current) return null;
  const [, path = ''] = /^(?:options|body)\.([\w.]+)/.exec(current.message) ?? [];
  return path === option || path.startsWith(`${option}.`) ? current.message.replace(/^\w+\.[\w.]+: /, '') : null;
}
