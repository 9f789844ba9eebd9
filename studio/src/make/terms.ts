/** The sum that a view computes, as far as it is one that the page has a formula for. */
import { preset } from '../../../lib/guidance/presets';
import type { PresetName } from '../api/types';

/** Techniques of which the sum consists; null for a view that has others, which change more than weights. */
export function termsOf(view: PresetName): readonly ('classifierFree' | 'detail' | 'disrupt')[] | null {
  const terms = Object.keys(preset(view));
  const isTerm = (name: string) => name === 'classifierFree' || name === 'detail' || name === 'disrupt';
  return terms.every(isTerm) ? terms : null;
}
