/** Which channel of which layer is looked at. */
import { computed, signal } from '@preact/signals';

import { disruptedNow } from '../charts/channelChart';
import { bundle } from '../state/bundles';
import { conditionsOf, measure, measureChannels, stepsOf } from '../state/inside';
import { requestOf, requestWith } from '../state/request';
import { start } from '../state/runs';
import { settings } from '../state/settings';

const chosen = signal<{ layer: number; channel: number } | null>(null);

/** The one that was clicked, or the first that the settings disrupt. */
export const look = computed(() => {
  if (chosen.value) return chosen.value;
  const { layer, channels } = disruptedNow();
  return { layer: layer ?? 0, channel: channels[0] ?? 0 };
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
  chosen.value = { layer, channel };
  if (!bundle.value) return;
  measureMap();
  makeWithout();
}

/** Everything that one trajectory tells. */
export function lookInside(): void {
  const { of, from, ...run } = common();
  const request = { bundle: of.id, conditions: [conditionsOf(from, of)], ...run };
  void measureChannels();
  measureMap();
  void measure('gates', { ...request, channels: [look.value.channel] });
  void measure('high-norm-tokens', { ...request, threshold: highNorm.value });
  start('inside/picture', requestOf(from, 'conditional', of));
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
