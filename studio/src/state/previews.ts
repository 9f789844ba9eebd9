/** How often there is a preview: at most so much of the time, after every step, or never. Kept in the browser. */
import { effect, signal } from '@preact/signals';

import { recall, remember } from '../storage';

import { previewShare } from './previewShare';

const stored = recall('browser', 'previews');

export const previews = signal<boolean | number>(stored === 'true' ? true : stored === 'false' ? false : previewShare);

effect(() => void remember('browser', 'previews', String(previews.value)));
