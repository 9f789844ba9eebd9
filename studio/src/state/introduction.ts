/** Whether the first page explains itself; until it is told that it need not. */
import { effect, signal } from '@preact/signals';

import { recall, remember } from '../storage';

export const isIntroduced = signal(recall('browser', 'introduced') !== 'true');

effect(() => void remember('browser', 'introduced', String(!isIntroduced.value)));
