/** Which channel of which layer is looked at. */
import { computed, signal } from '@preact/signals';

import { disruptedNow } from '../charts/channelChart';
import { bundle } from '../state/bundles';
import { conditionsOf, measure, measureChannels, stepsOf, strengths } from '../state/inside';
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

const common = () => {
  const of = bundle.value!;
  const from = settings.value;
  return { of, from, seed: from.seed, numInferenceSteps: stepsOf(from, of) };
};

/** Its map over the picture. */
function measureMap(): void {
  const { of, from, ...run } = common();
  void measure('maps', { bundle: of.id, channel: look.value.channel, conditions: conditionsOf(from, of), ...run });
}

/** The picture without it, beside the picture itself. */
function makeWithout(): void {
  const { of, from } = common();
  const { layer, channel } = look.value;
  start('inside/without', requestWith(from, { disrupt: { layer, channels: [channel] } }, of));
}

export function lookAt(layer: number, channel: number): void {
  if (!bundle.value) return;
  clicked.value = { layer, channel, bundle: bundle.value.id };
  measureMap();
  makeWithout();
}

/** What was looked at last: bundle, subject, seed and steps. */
const lookedAt = signal<string | null>(null);
const subjectNow = computed(() => {
  if (!bundle.value) return null;
  const { of, from, ...run } = common();
  return JSON.stringify([of.id, conditionsOf(from, of), run]);
});
/** The settings have changed since: what is shown is of others. */
export const isOutdated = computed(() => lookedAt.value !== null && lookedAt.value !== subjectNow.value);

/** Everything that one trajectory tells; first the channels, which say what is to be looked at. */
export async function lookInside(): Promise<void> {
  const { of, from, ...run } = common();
  const request = { bundle: of.id, conditions: [conditionsOf(from, of)], ...run };
  lookedAt.value = subjectNow.value;
  start('inside/picture', requestOf(from, 'conditional', of));
  await measureChannels();
  if (bundle.value?.id !== of.id) return;
  measureMap();
  void measure('gates', { ...request, channels: [look.value.channel] });
  void measure('high-norm-tokens', { ...request, threshold: highNorm.value });
  makeWithout();
}

/** Times the median token's norm from which a token is marked. */
export const highNorm = signal(1.5);

export function measureHighNorm(): void {
  const { of, from, ...run } = common();
  void measure('high-norm-tokens', {
    bundle: of.id,
    conditions: [conditionsOf(from, of)],
    ...run,
    threshold: highNorm.value,
  });
}
