/** Light or dark: as the system has it, until the user says otherwise. */
import { signal } from '@preact/signals';

import { SunIcon } from './controls/icons';
import { recall, remember } from './storage';

const stored = recall('browser', 'theme');
const theme = signal<'light' | 'dark' | null>(stored === 'light' || stored === 'dark' ? stored : null);
const system = matchMedia('(prefers-color-scheme: dark)');

theme.subscribe((value) => {
  if (value === null) return;
  document.documentElement.dataset['theme'] = value;
  remember('browser', 'theme', value);
});

export function ThemeButton() {
  return (
    <button
      type="button"
      class="icon-button"
      aria-label="Light or dark"
      title="Light or dark"
      onClick={() => (theme.value = (theme.value ?? (system.matches ? 'dark' : 'light')) === 'dark' ? 'light' : 'dark')}
    >
      <SunIcon />
    </button>
  );
}
