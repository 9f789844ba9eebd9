/** What sets the strength of the massive channels: the timestep, or what is drawn? */
import { signal } from '@preact/signals';

import { Plot } from '../charts/plot';
import { disruptedNow } from '../charts/channelChart';
import { TextField } from '../controls/text';
import { bundle } from '../state/bundles';
import { measure, measurementOf, progressOf, stopMeasuring } from '../state/inside';
import { settings } from '../state/settings';

import { look } from './look';

const prompts = signal('');
const parts = [
  ['timestep', 'timestep', 'var(--conditional)'],
  ['conditions', 'class or prompt', 'var(--cfg)'],
  ['both', 'both together', 'var(--other)'],
  ['seeds', 'seed', 'var(--soft)'],
] as const;

/** Up to six classes, or the prompts that are given; null while there are too few. */
function conditions(): object[] | null {
  const of = bundle.value;
  if (!of) return null;
  if (of.conditioning !== 'class') {
    const lines = prompts.value.split('\n').filter((line) => line.trim() !== '');
    return lines.length < 2 ? null : lines.map((prompt) => ({ prompt }));
  }
  const count = Array.isArray(of.classes) ? of.classes.length : (of.classes ?? 1);
  const shown = Math.min(6, count);
  return Array.from({ length: shown }, (_, at) => ({ classLabel: Math.floor((at * count) / shown) }));
}

export function Variance() {
  const measurement = measurementOf('magnitude');
  const answer = measurement?.answer;
  const isMeasuring = measurement?.state === 'measuring';
  const subjects = conditions();
  const { layer } = look.value;
  const at = answer?.layers.find((entry) => entry.layer === layer);
  return (
    <>
      {bundle.value?.conditioning === 'tensors' && (
        <p class="note">Classes or prompts are compared, and this model is conditioned by neither.</p>
      )}
      {bundle.value?.conditioning === 'text' && (
        <TextField
          label="Prompts, one on each line"
          value={prompts.value}
          placeholder={'a red fox in the snow\nan empty railway station'}
          onChange={(value) => (prompts.value = value)}
        />
      )}
      <div class="row">
        <button
          type="button"
          class="secondary"
          disabled={!subjects}
          onClick={() => {
            if (isMeasuring) return stopMeasuring('magnitude');
            const { channels } = disruptedNow();
            const on = { bundle: bundle.value!.id };
            void measure('magnitude', on, {
              conditions: subjects,
              channels: channels.length > 0 ? channels : [look.value.channel],
              seed: settings.value.seed,
              seeds: 2,
            });
          }}
        >
          {isMeasuring ? 'Stop measuring' : 'Measure'}
        </button>
        <p class="note">
          {isMeasuring
            ? progressOf('magnitude')
            : `${subjects?.length ?? 'Two or more'} ${bundle.value?.conditioning === 'class' ? 'classes' : 'prompts'}, two seeds, ten steps.`}
        </p>
      </div>
      {measurement?.problem && <p class="problem">{measurement.problem}</p>}
      {answer && (
        <div class="two-plots">
          <Plot
            label="Share of the variance that timestep, class or prompt and seed explain, by layer"
            height={240}
            of={[answer]}
            options={(plot) => ({
              x: { label: 'layer', type: 'band', tickFormat: 'd', padding: 0.2 },
              y: { label: 'share of the variance (%)', percent: true, grid: true },
              color: { domain: parts.map(([, name]) => name), range: parts.map(([, , colour]) => colour) },
              marks: [
                plot.barY(
                  answer.layers.flatMap(({ layer: number, explained }) =>
                    parts.map(([key, name]) => ({ layer: number, share: explained[key], name })),
                  ),
                  { x: 'layer', y: 'share', fill: 'name', order: parts.map(([, name]) => name) },
                ),
              ],
            })}
          />
          {at && (
            <Plot
              label={`Strength over the timesteps in layer ${layer}, a line for each class or prompt`}
              height={240}
              of={[at]}
              options={(plot) => ({
                x: { label: 'timestep: noise left, picture right', reverse: true },
                y: { label: 'mean of |z|', grid: true, zero: true },
                marks: [
                  plot.line(
                    answer.conditions.flatMap((name, index) =>
                      answer.timesteps.map((timestep, step) => ({
                        name,
                        timestep,
                        value: at.magnitude[step]![index]!.reduce((sum, value) => sum + value, 0) / answer.seeds.length,
                      })),
                    ),
                    {
                      x: 'timestep',
                      y: 'value',
                      z: 'name',
                      stroke: 'var(--detail)',
                      strokeOpacity: 0.6,
                      tip: true,
                      title: 'name',
                    },
                  ),
                  plot.line(
                    answer.timesteps.map((timestep, step) => ({ timestep, value: at.median[step]! })),
                    { x: 'timestep', y: 'value', stroke: 'var(--soft)', strokeWidth: 2 },
                  ),
                ],
              })}
            />
          )}
        </div>
      )}
      {answer && (
        <p class="legend">
          {parts.map(([key, name, colour]) => (
            <span key={key}>
              <i style={{ background: colour }} />
              {name}
            </span>
          ))}
          <span>
            Lines: channels {answer.channels.join(', ')} after layer {layer}, one for each of {answer.conditions.length}
            ; grey, the median channel.
          </span>
        </p>
      )}
    </>
  );
}
