/** What the picture shows, and how it is sampled: bundle, class or prompt, size, seed, steps, sampler. */
import type { BundleInfo } from '../api/types';
import { Choice } from '../controls/choice';
import { useDraft } from '../controls/draft';
import { Field } from '../controls/help';
import { DiceIcon, LockIcon } from '../controls/icons';
import { NumberField } from '../controls/number';
import { TextField } from '../controls/text';
import { limitsOf } from '../state/limits';
import { bundle, bundles, classNames, takeBundle } from '../state/bundles';
import { problemAt } from '../state/problems';
import { previews } from '../state/previews';
import { previewShare } from '../state/previewShare';
import { change, settings } from '../state/settings';

const samplers = ['flow-match-euler', 'flow-match-heun', 'ddim', 'dpm-solver++', 'unipc', 'heun'] as const;
/** Flow matching has samplers of its own; the multistep ones take both. */
const flowSamplers: ReadonlySet<string> = new Set(['flow-match-euler', 'flow-match-heun', 'dpm-solver++', 'unipc']);

export const drawSeed = () => crypto.getRandomValues(new Uint32Array(1))[0]! >>> 1;

export function SubjectFields() {
  const chosen = bundle.value;
  if (!chosen) return null;
  const { conditioning } = chosen;
  const { classLabel, prompt, negativePrompt } = settings.value;
  return (
    <>
      {bundles.value.length > 1 && (
        <Choice
          label="Bundle"
          hint={chosen.description ?? undefined}
          value={chosen.id}
          options={bundles.value.map(({ id, name }) => ({ value: id, label: id === name ? id : `${id} (${name})` }))}
          onChange={takeBundle}
        />
      )}
      {conditioning === 'class' && (
        <Choice
          label="Class"
          doc="GenerateOptions.classLabel"
          value={String(classLabel)}
          options={classNames(chosen).map((label, index) => ({ value: String(index), label }))}
          problem={problemAt('classLabel')}
          onChange={(value) => change({ classLabel: Number(value) })}
        />
      )}
      {conditioning === 'text' && (
        <>
          <TextField
            label="Prompt"
            doc="GenerateOptions.prompt"
            value={prompt}
            placeholder="a lighthouse in a storm, oil on canvas"
            problem={problemAt('prompt')}
            onChange={(value) => change({ prompt: value })}
          />
          <TextField
            label="Negative prompt"
            doc="GenerateOptions.negativePrompt"
            rows={1}
            value={negativePrompt}
            problem={problemAt('negativePrompt')}
            onChange={(value) => change({ negativePrompt: value })}
          />
        </>
      )}
    </>
  );
}

export function SeedField() {
  const { seed, seedLocked } = settings.value;
  const draft = useDraft(String(seed), (typed) => {
    const value = Number(typed);
    if (typed !== '' && Number.isSafeInteger(value) && value >= 0) change({ seed: value });
  });
  return (
    <Field label="Seed" doc="GenerateOptions.seed" problem={problemAt('seed')}>
      {({ id, describedBy }) => (
        <div class="with-buttons">
          <input
            type="number"
            id={id}
            aria-describedby={describedBy}
            min={0}
            max={Number.MAX_SAFE_INTEGER}
            step={1}
            {...draft}
          />
          <button
            type="button"
            class="icon-button"
            title="Another seed"
            aria-label="Another seed"
            onClick={() => change({ seed: drawSeed() })}
          >
            <DiceIcon />
          </button>
          <button
            type="button"
            class="icon-button"
            aria-pressed={seedLocked}
            aria-label="Keep the seed"
            title={seedLocked ? 'The seed stays' : 'Every picture gets another seed'}
            onClick={() => change({ seedLocked: !seedLocked })}
          >
            <LockIcon closed={seedLocked} />
          </button>
        </div>
      )}
    </Field>
  );
}

/** Width or height in pixels. */
function SideField({ side, of: { size } }: { side: 'width' | 'height'; of: BundleInfo }) {
  const title = side === 'width' ? 'Width' : 'Height';
  const step = size[`${side}Step`] ?? 1;
  return (
    <NumberField
      label={title}
      doc={`GenerateOptions.${side}`}
      value={settings.value[side] ?? size[side]}
      min={step}
      max={size[`max${title}`] ?? 65_536}
      step={step}
      problem={problemAt(side)}
      onChange={(value) => change({ [side]: value === size[side] ? null : value })}
    />
  );
}

/** Of a video; of a bundle that makes one length, only what cannot be asked for can be seen and undone. */
function FramesField({ of: { size, frameRate } }: { of: BundleInfo }) {
  const { numFrames } = settings.value;
  if (frameRate === null && numFrames === null) return null;
  const rate = `${String(frameRate)} a second`;
  if (size.framesStep === null && numFrames === null)
    return (
      <p class="note">
        This bundle makes videos of {size.frames} frames, {rate}.
      </p>
    );
  return (
    <NumberField
      label="Frames"
      doc="GenerateOptions.numFrames"
      aside={frameRate === null ? undefined : rate}
      value={numFrames ?? size.frames}
      {...limitsOf('numFrames')}
      step={size.framesStep ?? 1}
      problem={problemAt('numFrames')}
      onChange={(value) => change({ numFrames: value === size.frames ? null : value })}
    />
  );
}

export function SamplingFields() {
  const chosen = bundle.value;
  if (!chosen) return null;
  const { steps, sampler } = settings.value;
  const { scheduler } = chosen;
  const limits = limitsOf('numInferenceSteps');
  // What cannot be asked for, but was taken from somewhere, can be seen and undone.
  const sides = (['width', 'height'] as const).filter(
    (side) => chosen.size[`${side}Step`] !== null || settings.value[side] !== null,
  );
  const isFlow = scheduler.kind.startsWith('flow') || ('prediction' in scheduler && scheduler.prediction === 'flow');
  return (
    <>
      <div class="pair short-first">
        <NumberField
          label="Steps"
          doc="GenerateOptions.numInferenceSteps"
          value={steps ?? chosen.defaults.numInferenceSteps ?? 30}
          {...limits}
          step={1}
          problem={problemAt('numInferenceSteps')}
          onChange={(value) => change({ steps: Math.round(value) })}
        />
        <Choice
          label="Sampler"
          doc="GenerateOptions.scheduler"
          value={sampler ?? scheduler.kind}
          options={samplers
            .filter((kind) => !isFlow || flowSamplers.has(kind))
            .map((kind) => ({ value: kind, label: kind }))}
          problem={problemAt('scheduler')}
          onChange={(kind) => change({ sampler: kind === scheduler.kind ? null : kind })}
        />
      </div>
      <Choice
        label="Previews"
        hint="Pictures of what is being made. With a VAE, one takes as long as decoding the finished picture."
        value={String(previews.value)}
        options={[
          { value: String(previewShare), label: `now and then, ${100 * previewShare} % of the time` },
          { value: 'true', label: 'of every step' },
          { value: 'false', label: 'none' },
        ]}
        onChange={(value) => (previews.value = value === 'true' || (value === 'false' ? false : previewShare))}
      />
      {sides.length > 0 && (
        <div class="pair">
          {sides.map((side) => (
            <SideField key={side} side={side} of={chosen} />
          ))}
        </div>
      )}
      <FramesField of={chosen} />
    </>
  );
}
