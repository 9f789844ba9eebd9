/** ρ_t over the steps, as the plan has it; the points of a table can be dragged. */
import { useRef } from 'preact/hooks';

interface CurveProps {
  /** Time between data (0) and noise (1), and ρ, of each evaluation. */
  points: readonly { time: number; value: number }[];
  /** Of a table. */
  handles?: readonly { time: number; value: number }[];
  onDrag?: (index: number, value: number) => void;
}

const width = 300;
const height = 84;
const pad = 8;

export function Curve({ points, handles = [], onDrag }: CurveProps) {
  const svg = useRef<SVGSVGElement>(null);
  const values = [...points, ...handles].map(({ value }) => value);
  const low = Math.min(0, ...values);
  const high = Math.max(1, ...values);
  // Noise is on the left: pictures are made from there.
  const x = (time: number) => pad + (1 - time) * (width - 2 * pad);
  const y = (value: number) => height - pad - ((value - low) / (high - low)) * (height - 2 * pad);
  const valueAt = (clientY: number) => {
    const box = svg.current!.getBoundingClientRect();
    const place = ((clientY - box.top) / box.height) * height;
    return Math.min(high, Math.max(low, low + ((height - pad - place) / (height - 2 * pad)) * (high - low)));
  };
  const rounded = (value: number) => Math.round(value * 100) / 100;
  return (
    <svg ref={svg} class="curve" viewBox={`0 0 ${width} ${height}`} role="group" aria-label="ρ over the steps">
      {[0, 1].map((value) => (
        <g key={value}>
          <line x1={pad} x2={width - pad} y1={y(value)} y2={y(value)} class="grid" />
          <text x={width - pad} y={y(value) + (value === 0 ? -3 : 10)} text-anchor="end">
            {value}
          </text>
        </g>
      ))}
      <polyline points={points.map(({ time, value }) => `${x(time)},${y(value)}`).join(' ')} class="line" />
      {points.map(({ time, value }) => (
        <circle key={time} cx={x(time)} cy={y(value)} r={1.8} class="dot" />
      ))}
      {handles.map(({ time, value }, index) => (
        <circle
          key={time}
          cx={x(time)}
          cy={y(value)}
          r={6}
          class="handle"
          tabindex={0}
          role="slider"
          aria-label={`ρ at t = ${time}`}
          aria-valuenow={value}
          aria-valuemin={-10}
          aria-valuemax={10}
          aria-orientation="vertical"
          onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
          onPointerMove={(event) => {
            if (event.currentTarget.hasPointerCapture(event.pointerId))
              onDrag?.(index, rounded(valueAt(event.clientY)));
          }}
          onKeyDown={(event) => {
            const by = {
              ArrowUp: 0.05,
              ArrowRight: 0.05,
              ArrowDown: -0.05,
              ArrowLeft: -0.05,
              PageUp: 0.25,
              PageDown: -0.25,
            }[event.key];
            if (by === undefined) return;
            event.preventDefault();
            onDrag?.(index, rounded(Math.min(10, Math.max(-10, value + by))));
          }}
        />
      ))}
    </svg>
  );
}
