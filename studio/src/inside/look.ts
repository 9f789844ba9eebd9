/** Which channel of which layer is looked at. */
import { computed, signal } from '@preact/signals';

import { disruptedNow } from '../charts/channelChart';
import type { BundleInfo } from '../api/types';
import { bundle } from '../state/bundles';
import { measure, measureChannels, strengths, trajectoryNow, type Trajectory } from '../state/inside';
import { requestOf, requestWith } from '../state/request';
import { start } from '../state/making';
import { settings } from '../state/settings';

interface Look {
  layer: number;
  channel: number;
}

/** In which bundle. */
const clicked = signal<(Look & { bundle: string }) | null>(null);

/** The strongest that was measured. */
function strongest(): Look | null {
  const measured = strengths.value;
  if (!measured) return null;
  let [best, most] = [null as Look | null, -Infinity];
  measured.byLayer.forEach((bySteps, row) =>
    bySteps.forEach((values) =>
      values.forEach((value, channel) => {
        if (value > most) [best, most] = [{ layer: measured.layers[row]!, channel }, value];
      }),
    ),
  );
  return best;
}

/** The one that was clicked in this bundle, or the first that the settings disrupt; where they name none, the strongest one. */
export const look = computed<Look>(() => {
  if (clicked.value && clicked.value.bundle === bundle.value?.id) return clicked.value;
  const { layer, channels } = disruptedNow();
  if (layer !== null && channels[0] !== undefined) return { layer, channel: channels[0] };
  return strongest() ?? { layer: 0, channel: 0 };
});

/** Its map over the picture, which is of one subject. */
function measureMap(on: Trajectory): void {
  const [conditions] = on.conditions;
  void measure('maps', on, { conditions, channel: look.value.channel });
}

/** The picture without it, beside the picture itself. */
function makeWithout(of: BundleInfo): void {
  const { layer, channel } = look.value;
  start('inside/without', requestWith(settings.value, { disrupt: { layer, channels: [channel] } }, of));
}

export function lookAt(layer: number, channel: number): void {
  const [of, now] = [bundle.value, trajectoryNow.value];
  if (!of || !now) return;
  clicked.value = { layer, channel, bundle: of.id };
  measureMap(now);
  makeWithout(of);
}

/** Everything that one trajectory tells; first the channels, which say what is to be looked at. */
export async function lookInside(): Promise<void> {
  const [of, now] = [bundle.value, trajectoryNow.value];
  if (!of || !now) return;
  start('inside/picture', requestOf(settings.value, 'conditional', of));
  await measureChannels();
  if (bundle.value?.id !== of.id) return;
  measureMap(now);
  void measure('gates', now, { channels: [look.value.channel] });
  void measure('high-norm-tokens', now, { threshold: highNorm.value });
  makeWithout(of);
}

/** Times the median token's norm from which a token is marked. */
export const highNorm = signal(1.5);

export function measureHighNorm(): void {
  const now = trajectoryNow.value;
  if (now) void measure('high-norm-tokens', now, { threshold: highNorm.value });
}
