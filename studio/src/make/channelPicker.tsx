/** Layer and channels, picked where they are strong. */
import { useSignalEffect } from '@preact/signals';

import { ChannelChart, chartHeight } from '../charts/channelChart';
import { bundle, isReady, serverState } from '../state/bundles';
import { isOutdated, isQuick, measureChannels, measurementOf, progressOf, stopMeasuring } from '../state/inside';
import { changeDetail, detail, settings } from '../state/settings';

export function ChannelPicker() {
  useSignalEffect(() => {
    // With the subject, the seed and the steps; a model that takes long is measured when it is asked for.
    void settings.value;
    if (!bundle.value || serverState.value !== 'here' || !isQuick.value) return undefined;
    const timer = setTimeout(() => void measureChannels(), 500);
    return () => clearTimeout(timer);
  });
  const measurement = measurementOf('massive-activations');
  const isMeasuring = measurement?.state === 'measuring';
  const isOwn = detail.value.layer === 'auto' && detail.value.channels === 'auto';
  return (
    <section class="block" aria-label="Layer and channels">
      <div class="block-head">
        <h2>What is disrupted</h2>
        <span class="spacer" />
        {!isOwn && bundle.value?.massiveActivations && (
          <button type="button" class="text-button" onClick={() => changeDetail({ layer: 'auto', channels: 'auto' })}>
            The bundle’s own
          </button>
        )}
        <button
          type="button"
          class="text-button"
          disabled={!isReady.value}
          onClick={() => (isMeasuring ? stopMeasuring('massive-activations') : void measureChannels())}
        >
          {isMeasuring ? 'Stop measuring' : measurement?.answer ? 'Measure again' : 'Measure the channels'}
        </button>
      </div>
      <p class="note">
        Click a channel to add it or to take it away, in another layer to go there.
        {measurement?.answer && !isQuick.value && isOutdated(['massive-activations']) && (
          <b> The settings have changed since it was measured.</b>
        )}
      </p>
      {measurement?.problem && <p class="problem">{measurement.problem}</p>}
      {measurement?.answer ? (
        <ChannelChart />
      ) : (
        <p
          class="place-holder"
          style={isQuick.value ? { minHeight: `${chartHeight(bundle.value?.layers ?? 8)}px` } : {}}
        >
          {isMeasuring
            ? `Measuring every channel after every layer. ${progressOf('massive-activations')}`
            : 'How strong every channel is after every layer is measured on two trajectories of this model.'}
        </p>
      )}
    </section>
  );
}
