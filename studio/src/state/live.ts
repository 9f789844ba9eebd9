/** Pictures that follow the settings: made anew whenever one of them changes. */
import { effect, signal } from '@preact/signals';

import { bundle } from './bundles';
import { settings } from './settings';
import { views } from './views';

export const isLive = signal(false);

/** Calls `make` a moment after the last change, while it is live. */
export function followSettings(make: () => void): void {
  let timer: ReturnType<typeof setTimeout> | null = null;
  effect(() => {
    void [settings.value, views.value];
    if (timer) clearTimeout(timer);
    timer = isLive.value && bundle.value ? setTimeout(make, 300) : null;
  });
}
