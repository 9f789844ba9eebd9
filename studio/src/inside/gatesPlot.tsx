/** The residual gates of the layer against the strength of its channels. */
import { signal } from '@preact/signals';

import { Plot } from '../charts/plot';
import { disruptedNow } from '../charts/channelChart';
import { measurementOf, progressOf } from '../state/inside';

import { look } from './look';

const branch = signal<string | null>(null);

export function GatesPlot() {
  const measurement = measurementOf('gates');
  if (measurement?.state === 'failed') return <p class="note">{measurement.problem}</p>;
  const { layer, channel } = look.value;
  const gates = measurement?.answer?.gates.filter((gate) => gate.layer === layer) ?? [];
  const gate = gates.find((trace) => trace.branch === branch.value) ?? gates.at(-1);
  if (!gate) {
    const words = measurement?.answer
      ? `Layer ${layer} has no gates.`
      : (progressOf('gates') ?? 'The gates are measured when you look inside.');
    return <p class="place-holder gates">{words}</p>;
  }
  const disrupted = new Set(disruptedNow().channels);
  const points = gate.gate.map((alpha, at) => ({ alpha, strength: gate.activation[at]!, channel: at }));
  const named = points.filter((point) => disrupted.has(point.channel) || point.channel === channel);
  return (
    <>
      <div class="segments" role="group" aria-label="Gate">
        {gates.map((trace) => (
          <button
            key={trace.branch}
            type="button"
            aria-pressed={trace === gate}
            onClick={() => (branch.value = trace.branch)}
          >
            {trace.branch}
          </button>
        ))}
      </div>
      <Plot
        label={`Gate and strength of every channel in layer ${layer}`}
        height={260}
        of={[gate, channel, named.length]}
        options={(plot) => ({
          marginRight: 36,
          x: { label: '|α|, the gate of the residual branch', grid: true },
          y: { label: 'mean of |z|', grid: true, zero: true },
          marks: [
            plot.dot(points, { x: 'alpha', y: 'strength', r: 2.5, fill: 'var(--soft)', fillOpacity: 0.6 }),
            plot.dot(named, { x: 'alpha', y: 'strength', r: 4.5, fill: 'var(--detail)' }),
            plot.text(named, { x: 'alpha', y: 'strength', text: 'channel', dx: 8, textAnchor: 'start' }),
          ],
        })}
      />
      <p class="note">
        Over all channels the rank correlation of gate and strength is {gate.correlation.toFixed(2)}. The publication
        says that massive activations are where the gate spikes; named are the disrupted channels.
      </p>
    </>
  );
}
