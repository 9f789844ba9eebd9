/** The third page: what is inside the model while it draws what the first page asks for. */
import type { ComponentChildren } from 'preact';

import { ChannelChart } from '../charts/channelChart';
import { bundle, isReady } from '../state/bundles';
import { isOutdated, measurementOf, progressOf } from '../state/inside';
import { subjectInWords, requestOf } from '../state/request';
import { settings } from '../state/settings';

import { GatesPlot } from './gatesPlot';
import { look, lookAt, lookInside } from './look';
import { ChannelMap } from './map';
import { OverTime } from './overTime';
import { Variance } from './variance';
import { Without } from './without';

function Block({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section class="block" aria-label={title}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

const parts = [
  ['massive-activations', 'channels'],
  ['maps', 'map'],
  ['gates', 'gates'],
  ['high-norm-tokens', 'tokens'],
] as const;

/** How far the measurements are that are going on. */
function Progress() {
  const going = parts.flatMap(([name, title]) => {
    const words = progressOf(name);
    return words === null ? [] : [`${title}: ${words.toLowerCase()}`];
  });
  return (
    <p class="note progress-line" role="status">
      {going.join(' · ')}
    </p>
  );
}

export function InsidePage() {
  const of = bundle.value;
  const measurement = measurementOf('massive-activations');
  const { layer, channel } = look.value;
  const subject = of ? subjectInWords(requestOf(settings.value, 'conditional', of), of) : '';
  return (
    <div class="stage">
      <div class="stage-head">
        <button type="button" class="primary" disabled={!isReady.value} onClick={() => void lookInside()}>
          {measurement?.state === 'measuring' ? 'Looking…' : 'Look inside'}
        </button>
        <p class="note">
          {of &&
            `${subject ? `${subject}, ` : ''}seed ${settings.value.seed}, the conditional branch. Chosen: channel ${channel} after layer ${layer}.`}
          {measurement?.answer && isOutdated(parts.map(([name]) => name)) && (
            <b> The settings have changed since: look inside again.</b>
          )}
        </p>
        <Progress />
      </div>
      {measurement?.problem && <p class="problem">{measurement.problem}</p>}
      {!measurement?.answer && (
        <p class="place-holder">
          In large diffusion transformers a few fixed channels of the residual stream are far stronger than all others,
          at every image token: the massive activations. Look inside to see which they are here, where they are, and
          what happens to the picture without them.
        </p>
      )}
      {measurement?.answer && (
        <>
          <Block title="Strength of every channel after every layer">
            <ChannelChart onPick={lookAt} />
          </Block>
          <div class="columns">
            <Block title={`Channel ${channel} over the picture`}>
              <ChannelMap />
            </Block>
            <Block title="The picture without it">
              <Without />
            </Block>
          </div>
          <Block title={`Layer ${layer} over the timesteps`}>
            <OverTime />
          </Block>
          <div class="columns">
            <Block title={`Gates of layer ${layer}`}>
              <GatesPlot />
            </Block>
            <Block title="What sets the strength">
              <Variance />
            </Block>
          </div>
        </>
      )}
    </div>
  );
}
