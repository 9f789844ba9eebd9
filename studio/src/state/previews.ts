/** How often there is a preview: at most so much of the time, after every step, or never. Kept in the browser. */
import { effect, signal } from '@preact/signals';

import { previewShare } from './previewShare';

const key = 'detail-guidance.previews';
const stored = localStorage.getItem(key);

export const previews = signal<boolean | number>(stored === 'true' ? true : stored === 'false' ? false : previewShare);

effect(() => localStorage.setItem(key, String(previews.value)));
