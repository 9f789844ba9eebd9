/** What was kept, read again: by this page, by another version of it, or by another program at the same address. */
import type { ImageRequest } from '../api/types';
import { clipped, entriesOf } from '../state/sound';

import type { KeptPicture } from './store';

const numberOf = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) ? value : null;

/** Null for what is no picture of this page. */
export function keptPicture(entry: unknown): KeptPicture | null {
  const { id, created, bundle, title, request, seed, width, height, evaluations, cost, seconds } = entriesOf(entry);
  const [time, wide, tall] = [numberOf(created), numberOf(width), numberOf(height)];
  if (typeof id !== 'string' || typeof title !== 'string' || time === null || !wide || !tall) return null;
  return {
    id,
    created: time,
    bundle: typeof bundle === 'string' ? bundle : '',
    title: clipped(title),
    request: entriesOf(request) as ImageRequest,
    seed: numberOf(seed) ?? 0,
    width: wide,
    height: tall,
    evaluations: numberOf(evaluations),
    cost: numberOf(cost),
    seconds: numberOf(seconds),
  };
}
