/** Two settings on one seed: side by side, under a slider, and as their difference. */
import { signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';

import type { PresetName } from '../api/types';
import { Choice } from '../controls/choice';
import { NumberField } from '../controls/number';
import { Picture } from '../controls/picture';
import { exportHtml } from '../copy/html';
import { saveFile } from '../host';
import { pictureSize } from '../make/viewCard';
import { describe } from '../make/words';
import { bundle, isReady } from '../state/bundles';
import { requestOf, titleOf } from '../state/request';
import { start, stopAll } from '../state/making';
import { activeIn, runAt } from '../state/runs';
import { settings } from '../state/settings';
import { hereOf, techniques } from '../state/views';

import { differenceOf, type Difference } from './difference';
import { optionNamed, optionsHere } from './options';

interface Side {
  view: PresetName;
  /** In which it differs from the settings of the first page; '' in none. */
  option: string;
  value: number;
}

const sides = {
  a: signal<Side>({ view: 'cfg', option: '', value: 0 }),
  b: signal<Side>({ view: 'detail+cfg', option: '', value: 0 }),
};
type SideName = keyof typeof sides;

const modes = ['side by side', 'slider', 'difference'] as const;
const mode = signal<(typeof modes)[number]>('side by side');
const kind = signal<'signed' | 'absolute'>('signed');
const most = signal(128);

const placeOf = (name: SideName) => `pair/${name}`;

/** The titles of what was made: the fields may say something else by now. */
const titles = signal<Partial<Record<SideName, string>>>({});

/** As far as the bundle has it. */
function sideHere({ view, option, value }: Side): Side {
  const isHere = optionsHere().some(({ name }) => name === option);
  return { view: hereOf(view), option: isHere ? option : '', value };
}

function titleOfSide(side: Side): string {
  const { view, option, value } = sideHere(side);
  const changed = optionNamed(option);
  return changed ? `${titleOf(view)}, ${changed.label} ${changed.nameOf?.(value) ?? value}` : titleOf(view);
}

const shownTitle = (name: SideName): string =>
  (runAt(placeOf(name)) && titles.value[name]) ?? titleOfSide(sides[name].value);

function requestOfSide(side: Side) {
  const { view, option, value } = sideHere(side);
  const changed = optionNamed(option);
  return requestOf(changed ? changed.apply(settings.value, value) : settings.value, view, bundle.value!);
}

function SideFields({ name }: { name: SideName }) {
  const side = sides[name];
  const { view, option, value } = sideHere(side.value);
  const change = (part: Partial<Side>) => (side.value = { ...side.value, ...part });
  return (
    <fieldset class="side">
      <legend>{name.toUpperCase()}</legend>
      <Choice
        label="Technique"
        hint={describe(view)}
        value={view}
        options={techniques.value.map((preset) => ({ value: preset, label: titleOf(preset) }))}
        onChange={(preset) => change({ view: preset })}
      />
      <div class="pair">
        <Choice
          label="But for"
          doc={optionNamed(option)?.doc}
          value={option}
          options={[
            { value: '', label: 'as on the first page' },
            ...optionsHere().map((swept) => ({ value: swept.name, label: swept.label })),
          ]}
          onChange={(changed) => change({ option: changed, value: optionNamed(changed)?.suggested().at(-1) ?? 0 })}
        />
        {option !== '' && (
          <NumberField
            label="which is"
            value={value}
            min={-1e9}
            max={Number.MAX_SAFE_INTEGER}
            step={optionNamed(option)?.whole ? 1 : 0.05}
            onChange={(number) => change({ value: number })}
          />
        )}
      </div>
    </fieldset>
  );
}

function DifferenceView({ a, b }: { a: string; b: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [difference, setDifference] = useState<Difference | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    let isCurrent = true;
    differenceOf(a, b, kind.value, most.value).then(
      (next) => {
        if (!isCurrent) return;
        setProblem(null);
        setDifference(next);
        canvas.current!.width = next.image.width;
        canvas.current!.height = next.image.height;
        canvas.current!.getContext('2d')!.putImageData(next.image, 0, 0);
      },
      (error: unknown) => isCurrent && setProblem(error instanceof Error ? error.message : String(error)),
    );
    return () => {
      isCurrent = false;
    };
  }, [a, b, kind.value, most.value]);
  const { width, height } = pictureSize();
  return (
    <div class="difference">
      <canvas
        ref={canvas}
        class={width <= 128 ? 'pixels' : ''}
        style={{ aspectRatio: `${width} / ${height}` }}
        role="img"
        aria-label={`Difference of B and A, ${kind.value}`}
      />
      <div class={`scale ${kind.value}`} aria-hidden="true">
        <span>{kind.value === 'signed' ? `−${most.value}: A is brighter` : '0'}</span>
        <span>{kind.value === 'signed' ? `+${most.value}: B is brighter` : most.value}</span>
      </div>
      <div class="row">
        <div class="segments" role="group" aria-label="Kind of difference">
          {(['signed', 'absolute'] as const).map((name) => (
            <button key={name} type="button" aria-pressed={kind.value === name} onClick={() => (kind.value = name)}>
              {name}
            </button>
          ))}
        </div>
        <label class="inline">
          Full colour at
          <input
            type="range"
            min={8}
            max={255}
            value={most.value}
            onInput={({ currentTarget }) => (most.value = Number(currentTarget.value))}
          />
          {most.value}
        </label>
      </div>
      <p class="note">
        {problem ??
          (difference
            ? `Of 255: ${difference.largest} at most, ${difference.mean.toFixed(1)} in the mean; PSNR ${Number.isFinite(difference.psnr) ? `${difference.psnr.toFixed(1)} dB` : 'infinite: the same picture'}.`
            : '')}
      </p>
    </div>
  );
}

function SliderView({ a, b }: { a: string | null; b: string | null }) {
  const [share, setShare] = useState(50);
  const size = pictureSize();
  return (
    <div class="before-after" style={{ '--share': `${share}%` }}>
      <Picture src={a} alt="A" {...size} />
      <div class="over-picture">
        <Picture src={b} alt="B" {...size} />
      </div>
      <input
        type="range"
        aria-label="How much of A is seen"
        min={0}
        max={100}
        value={share}
        onInput={({ currentTarget }) => setShare(Number(currentTarget.value))}
      />
    </div>
  );
}

function makeBoth(): void {
  titles.value = { a: titleOfSide(sides.a.value), b: titleOfSide(sides.b.value) };
  for (const name of ['a', 'b'] as const) start(placeOf(name), requestOfSide(sides[name].value));
}

export function Pair() {
  const [runA, runB] = [runAt(placeOf('a')), runAt(placeOf('b'))];
  const [a, b] = [runA?.picture ?? null, runB?.picture ?? null];
  const isActive = activeIn('pair/').length > 0;
  const size = pictureSize();
  const isDone = runA?.state === 'done' && runB?.state === 'done';
  return (
    <section class="block" aria-label="Two settings">
      <div class="sides">
        <SideFields name="a" />
        <SideFields name="b" />
      </div>
      <div class="row">
        <button type="button" class="primary" disabled={!isReady.value} onClick={makeBoth}>
          Make both
        </button>
        <button type="button" class="secondary" disabled={!isActive} onClick={() => stopAll('pair/')}>
          Stop
        </button>
        <span class="spacer" />
        <div class="segments" role="group" aria-label="View">
          {modes.map((name) => (
            <button key={name} type="button" aria-pressed={mode.value === name} onClick={() => (mode.value = name)}>
              {name}
            </button>
          ))}
        </div>
        <button
          type="button"
          class="secondary"
          disabled={!isDone}
          onClick={() =>
            void saveFile(
              'comparison.html',
              exportHtml(
                `A and B, seed ${String(runA!.request.seed)}`,
                2,
                [runA!, runB!].map((run, at) => ({
                  title: shownTitle(at === 0 ? 'a' : 'b'),
                  request: run.request,
                  png: run.png,
                  ...size,
                })),
              ),
            )
          }
        >
          Save as HTML
        </button>
      </div>
      {[runA, runB].map(
        (run, at) =>
          run?.problem && (
            <p key={at} class="problem">
              {'AB'[at]}: {run.problem.message}
            </p>
          ),
      )}
      {mode.value === 'side by side' && (
        <div class="two">
          {(['a', 'b'] as const).map((name) => (
            <figure key={name}>
              <div class="frame">
                <Picture src={name === 'a' ? a : b} alt={name.toUpperCase()} {...size} />
              </div>
              <figcaption>
                <b>{name.toUpperCase()}</b> {shownTitle(name)}
              </figcaption>
              {runAt(placeOf(name))?.warnings.map((warning) => (
                <p key={warning} class="note">
                  {warning}
                </p>
              ))}
            </figure>
          ))}
        </div>
      )}
      {mode.value === 'slider' && <SliderView a={a} b={b} />}
      {mode.value === 'difference' &&
        (isDone ? (
          <DifferenceView a={a!} b={b!} />
        ) : (
          <p class="place-holder">The difference is shown when both pictures are made.</p>
        ))}
    </section>
  );
}
