/** One channel over the picture: by layer, by step, with the high-norm tokens marked. */
import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';

import { TimestepSlider } from '../charts/channelChart';
import { pictureSize } from '../make/viewCard';
import { measurementOf, progressOf, strengths, timestepAt } from '../state/inside';
import { runAt } from '../state/runs';

import { highNorm, look, lookAt, measureHighNorm } from './look';

const opacity = signal(0.6);

/** Blue below zero, red above; what is near zero is clear, so that the picture under it is seen. */
function colourOf(share: number): [number, number, number, number] {
  const strength = Math.min(1, Math.abs(share));
  return share < 0 ? [70, 140, 220, 255 * strength] : [235, 110, 60, 255 * strength];
}

/** The estimate of a step, or the nearest one before it, or else after it: where steps are quick some have none. */
function frameAt(frames: readonly (string | undefined)[], step: number): string | undefined {
  return (
    frames.slice(0, step + 1).findLast((frame) => frame !== undefined) ?? frames.find((frame) => frame !== undefined)
  );
}

interface MapProps {
  values: readonly number[];
  rows: number;
  columns: number;
  /** The value that has the full colour. */
  most: number;
}

function MapCanvas({ values, rows, columns, most }: MapProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current!.getContext('2d')!;
    const pixels = context.createImageData(columns, rows);
    values.forEach((value, at) => pixels.data.set(colourOf(value / most), at * 4));
    context.putImageData(pixels, 0, 0);
  }, [values, rows, columns, most]);
  return <canvas ref={canvas} width={columns} height={rows} class="pixels" />;
}

/** What is drawn before it is measured has the same place: nothing moves when it comes. */
export function ChannelMap() {
  const measurement = measurementOf('maps');
  const measured = measurement?.answer ?? null;
  const highNormTokens = measurementOf('high-norm-tokens');
  const tokens = highNormTokens?.answer?.tokens ?? [];
  const [rows, columns] = measured?.tokenGrid ?? [1, 1];
  const step = Math.min(timestepAt.value, (measured?.timesteps.length ?? 1) - 1);
  const { layer, channel: chosen } = look.value;
  // The one that was measured: another is on its way.
  const channel = measured?.channel ?? chosen;
  const layers = measured?.layers ?? strengths.value?.layers ?? [];
  const frame = frameAt(runAt('inside/picture')?.frames ?? [], step);
  const most = measured?.maps.flat(2).reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-6) ?? 1;
  const { width, height } = pictureSize();
  const aspect = { aspectRatio: `${width} / ${height}` };
  const marked = tokens.filter(({ layers: at, steps }) => at.includes(layer) && steps.includes(step));
  const canvasAt = (row: number) =>
    measured && <MapCanvas values={measured.maps[row]![step]!} rows={rows} columns={columns} most={most} />;
  return (
    <div class="channel-map">
      <div class="map-large" style={aspect}>
        {frame !== undefined && <img src={frame} alt="" class={width <= 128 ? 'pixels' : ''} />}
        <div class="map-over" style={{ opacity: opacity.value }}>
          {canvasAt(Math.max(0, layers.indexOf(layer)))}
        </div>
        {measured &&
          marked.map(({ token, strongest }) => (
            <i
              key={token}
              class="high-norm"
              title={`A high-norm token: up to ${strongest.ratio.toFixed(1)} times the median token`}
              style={{
                left: `${((token % columns) / columns) * 100}%`,
                top: `${(Math.floor(token / columns) / rows) * 100}%`,
                width: `${100 / columns}%`,
                height: `${100 / rows}%`,
              }}
            />
          ))}
      </div>
      <div class="map-side">
        <TimestepSlider />
        <label class="timestep">
          <span>Over the picture</span>
          <input
            type="range"
            min={0}
            max={1}
            step={0.05}
            value={opacity.value}
            onInput={({ currentTarget }) => (opacity.value = Number(currentTarget.value))}
          />
        </label>
        <label class="timestep">
          <span>High-norm from {highNorm.value}×</span>
          <input
            type="range"
            min={1.2}
            max={6}
            step={0.1}
            value={highNorm.value}
            onInput={({ currentTarget }) => (highNorm.value = Number(currentTarget.value))}
            onChange={measureHighNorm}
          />
        </label>
        <div class="map-layers" role="group" aria-label="The same channel after every layer">
          {layers.map((number, at) => (
            <button
              key={number}
              type="button"
              aria-pressed={number === layer}
              aria-label={`After layer ${number}`}
              onClick={() => lookAt(number, channel)}
            >
              <span style={aspect}>{canvasAt(at)}</span>
              {number}
            </button>
          ))}
        </div>
        <p class={measurement?.problem ? 'problem' : 'note'}>
          {measured
            ? `Channel ${channel} after layer ${layer}: blue is negative, orange positive, up to ${most.toFixed(1)}. A massive activation is strong at every token. Ringed (${marked.length} here) are high-norm tokens, whose whole hidden state is long: something else.`
            : (measurement?.problem ?? progressOf('maps') ?? 'The map of a channel is measured when you look inside.')}
        </p>
        {highNormTokens?.problem && <p class="problem">{highNormTokens.problem}</p>}
      </div>
    </div>
  );
}
