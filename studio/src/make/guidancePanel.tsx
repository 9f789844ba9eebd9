/** Classifier-free guidance and Detail Guidance: scales, windows, what is disrupted. */
import { useDraft } from '../controls/draft';
import { Field } from '../controls/help';
import { Slider } from '../controls/number';
import { WindowField } from '../controls/window';
import { bundle } from '../state/bundles';
import { limitsOf } from '../state/limits';
import { problemAt } from '../state/problems';
import { cfg, change, changeCfg, changeDetail, detail, settings } from '../state/settings';
import { entriesOf } from '../state/sound';

import { RetentionFields } from './retention';

/** No more than a request takes, whatever the bundle says: each is drawn. */
const steps = () => Math.min(1000, settings.value.steps ?? bundle.value?.defaults.numInferenceSteps ?? 30);

export function CfgFields() {
  const { scale, start, stop } = cfg.value;
  if (bundle.value && !bundle.value.unconditional) {
    return (
      <p class="note">
        This bundle was trained without an unconditional prediction, so there is none to move away from.
      </p>
    );
  }
  return (
    <>
      {bundle.value?.embeddedGuidance && (
        <p class="note">
          This model has its guidance built in, above. Classifier-free guidance on top of it is an evaluation more in
          every step, and seldom needed.
        </p>
      )}
      <Slider
        label="CFG scale s"
        doc="ClassifierFreeOptions.scale"
        value={scale}
        usual={[1, 10]}
        {...limitsOf('guidance.classifierFree.scale')}
        step={0.1}
        problem={problemAt('guidance.classifierFree')}
        onChange={(value) => changeCfg({ scale: value })}
      />
      <WindowField
        label="CFG window"
        doc="GuidanceWindow"
        start={start}
        stop={stop}
        steps={steps()}
        colour="var(--cfg)"
        onChange={changeCfg}
      />
    </>
  );
}

/** The guidance that a distilled model takes as an input. */
export function EmbeddedField() {
  const { embedded } = settings.value;
  const own = entriesOf(entriesOf(entriesOf(bundle.value?.defaults)['guidance'])['embedded'])['scale'];
  return (
    <Slider
      label="Embedded guidance"
      doc="EmbeddedOptions.scale"
      value={embedded ?? (typeof own === 'number' ? own : 3.5)}
      usual={[1, 10]}
      {...limitsOf('guidance.embedded.scale')}
      step={0.1}
      problem={problemAt('guidance.embedded')}
      onChange={(value) => change({ embedded: value })}
    />
  );
}

export function DetailFields() {
  const { scale, start, stop, layer, channels } = detail.value;
  const chosen = bundle.value;
  const recorded = chosen?.massiveActivations;
  const draft = useDraft(channels === 'auto' ? '' : channels.join(', '), (typed) => {
    const words = typed.split(/[\s,]+/).filter(Boolean);
    const numbers = words.map(Number);
    if (words.length === 0) changeDetail({ channels: 'auto' });
    else if (numbers.every((value) => Number.isInteger(value) && value >= 0))
      changeDetail({ channels: [...new Set(numbers)] });
  });
  return (
    <>
      <Slider
        label="Detail scale w"
        doc="DetailOptions.scale"
        value={scale}
        usual={[0, 2]}
        {...limitsOf('guidance.detail.scale')}
        step={0.05}
        problem={problemAt('guidance.detail.scale')}
        onChange={(value) => changeDetail({ scale: value })}
      />
      <WindowField
        label="Detail window"
        doc="GuidanceWindow"
        start={start}
        stop={stop}
        steps={steps()}
        colour="var(--detail)"
        onChange={changeDetail}
      />
      <div class="pair">
        <Field label="Layer" doc="DisruptionOptions.layer" problem={problemAt('guidance.detail.layer')}>
          {({ id, describedBy }) => (
            <select
              id={id}
              aria-describedby={describedBy}
              value={String(layer)}
              onChange={({ currentTarget: { value } }) =>
                changeDetail({ layer: value === 'auto' ? 'auto' : Number(value) })
              }
            >
              <option value="auto">{recorded ? `the bundle's (${recorded.layer})` : "the bundle's: none"}</option>
              {Array.from({ length: chosen?.layers ?? 0 }, (_, index) => (
                <option key={index} value={String(index)}>
                  {index}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Channels" doc="DisruptionOptions.channels" problem={problemAt('guidance.detail.channels')}>
          {({ id, describedBy }) => (
            <input
              type="text"
              id={id}
              aria-describedby={describedBy}
              inputMode="numeric"
              placeholder={recorded ? recorded.channels.join(', ') : 'e.g. 12, 49'}
              {...draft}
            />
          )}
        </Field>
      </div>
      <RetentionFields />
    </>
  );
}
