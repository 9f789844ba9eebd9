/** The picture, and the picture with the chosen channel disrupted. */
import { Picture } from '../controls/picture';
import { pictureSize } from '../make/viewCard';
import { runAt } from '../state/runs';

import { look } from './look';

export function Without() {
  const size = pictureSize();
  const { layer, channel } = look.value;
  const shown = [
    ['inside/picture', 'the conditional prediction'],
    ['inside/without', `channel ${channel} disrupted after layer ${layer}`],
  ] as const;
  return (
    <div class="two">
      {shown.map(([place, title]) => (
        <figure key={place}>
          <div class="frame">
            <Picture src={runAt(place)?.picture ?? null} alt={title} {...size} />
          </div>
          <figcaption>{runAt(place)?.problem?.message ?? title}</figcaption>
        </figure>
      ))}
    </div>
  );
}
