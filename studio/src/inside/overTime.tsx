/** Every channel of one layer over the timesteps. */
import { HeatMap } from '../charts/heatMap';
import { strengths, timestepAt } from '../state/inside';

import { look, lookAt } from './look';

export function OverTime() {
  const measured = strengths.value;
  const { layer, channel } = look.value;
  const row = measured?.layers.indexOf(layer) ?? -1;
  if (!measured || row < 0) return null;
  const values = measured.byLayer[row]!;
  const timestep = (step: number) => Number(measured.timesteps[step]!.toPrecision(3));
  return (
    <HeatMap
      label={`Strength of every channel of layer ${layer} over the timesteps`}
      values={values}
      rowLabel="timestep"
      columnLabel="channel"
      rowName={(step) => String(timestep(step))}
      domain={[0, measured.largest]}
      rowHeight={Math.max(6, Math.min(14, 280 / values.length))}
      colourLabel={`Layer ${layer}: noise above, the picture below. The pointer moves the timestep of the other charts.`}
      marked={[{ row: Math.min(timestepAt.value, values.length - 1), column: channel }]}
      describe={({ row: step, column }) =>
        `t = ${timestep(step)}, channel ${column}: ${values[step]![column]!.toFixed(1)} times the median channel.`
      }
      onHover={({ row: step }) => (timestepAt.value = step)}
      onPick={({ column }) => lookAt(layer, column)}
    />
  );
}
