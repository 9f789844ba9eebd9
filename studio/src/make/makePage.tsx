/** The first page: the linked views of one seed, with the settings beside them and the plan below. */
import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';

import { TimeLine } from '../charts/timeLine';
import { formatted } from '../controls/help';
import { copyAs } from '../copy/copyDialog';
import { bundle, isReady } from '../state/bundles';
import { isLive } from '../state/live';
import { plans } from '../state/plans';
import { inWords } from '../state/problems';
import { requestOf, titleOf } from '../state/request';
import { start, stopAll } from '../state/making';
import { activeIn, runAt, runs } from '../state/runs';
import { change, settings } from '../state/settings';
import { addView, selected, techniques, views } from '../state/views';

import { ChannelPicker } from './channelPicker';
import { Equation } from './equation';
import { CfgFields, DetailFields, EmbeddedField } from './guidancePanel';
import { LocalFields } from './local';
import { Panel } from './panel';
import { PresetFields } from './presetFields';
import { StartPictureFields } from './startPicture';
import { drawSeed, SamplingFields, SeedField, SubjectFields } from './subject';
import { placeOf, ViewCard } from './viewCard';
import { describe, Introduction } from './words';

/** All views anew. */
export function makeViews(): void {
  const chosen = bundle.value;
  if (!chosen || !isReady.value) return;
  stopAll('make/');
  for (const view of views.value) start(placeOf(view), requestOf(settings.value, view, chosen));
}

/** With another seed where the seed is not kept. */
function makeAnew(): void {
  if (!settings.value.seedLocked) change({ seed: drawSeed() });
  makeViews();
}

function MakeButtons() {
  const active = activeIn('make/');
  return (
    <div class="make-buttons">
      <button type="button" class="primary" disabled={!isReady.value} onClick={makeAnew}>
        {views.value.length === 1 ? 'Make the picture' : `Make ${views.value.length} pictures`}
      </button>
      <button type="button" class="secondary" disabled={active.length === 0} onClick={() => stopAll('make/')}>
        Stop
      </button>
      <button
        type="button"
        class="secondary"
        aria-pressed={isLive.value}
        title="Make the pictures anew whenever a setting changes"
        onClick={() => (isLive.value = !isLive.value)}
      >
        Live
      </button>
    </div>
  );
}

function AddView() {
  const chosen = useSignal('');
  const more = techniques.value.filter((name) => !views.value.includes(name));
  if (more.length === 0) return null;
  const name = more.find((view) => view === chosen.value);
  return (
    <div class="with-buttons">
      <select
        aria-label="Technique to add"
        value={name ?? ''}
        onChange={({ currentTarget }) => (chosen.value = currentTarget.value)}
      >
        <option value="">Another technique…</option>
        {more.map((view) => (
          <option key={view} value={view}>
            {titleOf(view)}
          </option>
        ))}
      </select>
      <button type="button" class="secondary" disabled={!name} onClick={() => name && addView(name)}>
        Add
      </button>
    </div>
  );
}

/** A picture of the bundle, if one was made since the page was loaded. */
const madeBy = (id: string) =>
  Object.values(runs.value).find(({ png, request }) => png && request.bundle === id)?.png ?? null;

function Explanation() {
  const view = selected.value;
  const answer = plans.value[view];
  const run = runAt(placeOf(view));
  const at = run?.state === 'running' ? run.step : null;
  return (
    <section class="block explanation" aria-label="Plan">
      <div class="block-head">
        <h2>{titleOf(view)}</h2>
        <Equation view={view} />
        <span class="spacer" />
        <button
          type="button"
          class="text-button"
          disabled={!bundle.value}
          onClick={() => copyAs(requestOf(settings.value, view, bundle.value!), madeBy(bundle.value!.id))}
        >
          Copy as…
        </button>
      </div>
      <p class="note">{formatted(describe(view))}</p>
      {answer?.planned && <TimeLine planned={answer.planned} at={at} />}
      {answer?.problem && (
        <p class="problem" role="alert">
          {inWords(answer.problem)}
        </p>
      )}
      {!answer && <div class="time-line-place" />}
    </section>
  );
}

export function MakePage() {
  const stage = useRef<HTMLDivElement>(null);
  return (
    <div class="make">
      <button type="button" class="skip" onClick={() => stage.current!.focus()}>
        Skip the settings
      </button>
      <form class="settings" onSubmit={(event) => event.preventDefault()} aria-label="Settings">
        {/* What is set before it is known for which bundle, the bundle's own would be written over. */}
        <fieldset disabled={!bundle.value}>
          <Panel title="Picture">
            <SubjectFields />
            <SeedField />
            <SamplingFields />
          </Panel>
          {bundle.value?.embeddedGuidance && (
            <Panel title="Guidance of the model">
              <EmbeddedField />
            </Panel>
          )}
          <Panel title="Classifier-free guidance">
            <CfgFields />
          </Panel>
          <Panel title="Detail Guidance">
            <DetailFields />
          </Panel>
          <Panel title="Local Detail Guidance" open={settings.value.detail.tokens !== null}>
            <LocalFields />
          </Panel>
          <Panel title="Image to image" open={settings.value.image !== null}>
            <StartPictureFields />
          </Panel>
          <Panel title="Presets" open={false}>
            <PresetFields />
          </Panel>
        </fieldset>
      </form>
      <div ref={stage} class="stage" tabIndex={-1}>
        <Introduction />
        <div class="stage-head">
          <MakeButtons />
          <AddView />
        </div>
        <div class="cards" style={{ '--views': views.value.length }}>
          {views.value.map((view) => (
            <ViewCard key={view} view={view} />
          ))}
        </div>
        <Explanation />
        <ChannelPicker />
      </div>
    </div>
  );
}
