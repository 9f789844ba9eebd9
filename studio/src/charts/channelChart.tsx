/** The strength of every channel after every layer at one timestep; the disrupted ones are marked and picked here. */
import { bundle } from '../state/bundles';
import { strengths, timestepAt } from '../state/inside';
import { changeDetail, detail } from '../state/settings';

import { HeatMap, type Cell } from './heatMap';

/** Layer and channels that the settings disrupt, with the bundle's own in place of 'auto'. */
export function disruptedNow(): { layer: number | null; channels: number[] } {
  const { layer, channels } = detail.value;
  const recorded = bundle.value?.massiveActivations;
  return {
    layer: layer === 'auto' ? (recorded?.layer ?? null) : layer,
    channels: channels === 'auto' ? [...(recorded?.channels ?? [])] : channels,
  };
}

const rowHeightOf = (layers: number) => (layers > 24 ? 10 : 20);

/** In pixels, with what stands below: what is there before takes as much. */
export const chartHeight = (layers: number) => layers * rowHeightOf(layers) + 98;

/** A click on a channel of the disrupted layer adds it or takes it away; on another layer it moves all there. */
function pick(layer: number, channel: number): void {
  const now = disruptedNow();
  if (now.layer !== layer) {
    const channels = now.channels.includes(channel) ? now.channels : [channel];
    changeDetail({ layer, channels });
    return;
  }
  const without = now.channels.filter((one) => one !== channel);
  const channels = without.length === now.channels.length ? [...now.channels, channel] : without;
  // One channel at least is disrupted.
  if (channels.length > 0) changeDetail({ layer, channels });
}

export function ChannelChart({ onPick = pick }: { onPick?: (layer: number, channel: number) => void }) {
  const measured = strengths.value;
  if (!measured) return null;
  const step = Math.min(timestepAt.value, measured.timesteps.length - 1);
  const { layer, channels } = disruptedNow();
  const row = measured.layers.indexOf(layer ?? -1);
  const marked: Cell[] = row < 0 ? [] : channels.map((column) => ({ row, column }));
  const describe = ({ row: at, column }: Cell) => {
    const strength = measured.byLayer[at]![step]![column]!;
    const massive = measured.massive.get(measured.layers[at]!)?.includes(column) ? ', a massive activation' : '';
    return `Layer ${measured.layers[at]}, channel ${column}: ${strength.toFixed(1)} times the median channel${massive}.`;
  };
  return (
    <div class="channel-chart">
      <HeatMap
        label="Strength of every channel after every layer"
        values={measured.byLayer.map((bySteps) => bySteps[step]!)}
        rowLabel="layer"
        columnLabel="channel"
        rowName={(at) => String(measured.layers[at])}
        domain={[0, measured.largest]}
        colourLabel={`Bright is strong: up to ${measured.largest.toFixed(1)} times the median channel. Framed: what is disrupted.`}
        rowHeight={rowHeightOf(measured.layers.length)}
        marked={marked}
        describe={describe}
        onPick={({ row: at, column }) => onPick(measured.layers[at]!, column)}
      />
      <TimestepSlider />
    </div>
  );
}

export function TimestepSlider() {
  const measured = strengths.value;
  if (!measured) return null;
  const last = measured.timesteps.length - 1;
  const step = Math.min(timestepAt.value, last);
  const timestep = Number(measured.timesteps[step]!.toPrecision(3));
  return (
    <label class="timestep">
      <span>
        Step {step + 1} of {last + 1}, t = {timestep}
      </span>
      <input
        type="range"
        min={0}
        max={last}
        step={1}
        value={step}
        onInput={({ currentTarget }) => (timestepAt.value = Number(currentTarget.value))}
      />
    </label>
  );
}
