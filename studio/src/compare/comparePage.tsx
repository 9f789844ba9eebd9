/** The second page: two settings, a sweep, and other techniques at equal cost. */
import { signal } from '@preact/signals';
import type { FunctionComponent } from 'preact';

import { Pair } from './pair';
import { Rivals } from './rivals';
import { Sweep } from './sweep';

const parts: { title: string; part: FunctionComponent }[] = [
  { title: 'Two settings', part: Pair },
  { title: 'Sweep', part: Sweep },
  { title: 'Rivals at equal cost', part: Rivals },
];
const current = signal(0);

export function ComparePage() {
  const { part: Part } = parts[current.value]!;
  return (
    <div class="stage">
      <div class="stage-head">
        <div class="segments" role="group" aria-label="What is compared">
          {parts.map(({ title }, at) => (
            <button key={title} type="button" aria-pressed={current.value === at} onClick={() => (current.value = at)}>
              {title}
            </button>
          ))}
        </div>
        <p class="note">All else is as on the first page: what is shown, the seed, the steps.</p>
      </div>
      <Part />
    </div>
  );
}
