/** Numbers in rows and columns as colours; cells can be picked with the pointer and with the keyboard. */
import { useSignal } from '@preact/signals';

import { Plot } from './plot';

export interface Cell {
  row: number;
  column: number;
}

interface HeatMapProps {
  /** In words, for who does not see it. */
  label: string;
  values: readonly ArrayLike<number>[];
  rowLabel: string;
  columnLabel: string;
  /** What stands at the rows and columns in place of their indices. */
  rowName?: (row: number) => string;
  /** Ends of the colours; default those of the values. */
  domain?: readonly [number, number];
  colourLabel: string;
  rowHeight?: number;
  /** Drawn with a frame. */
  marked: readonly Cell[];
  /** What is under the cursor, in words. */
  describe: (cell: Cell) => string;
  onPick?: (cell: Cell) => void;
  onHover?: (cell: Cell) => void;
}

const margin = { left: 52, right: 12, top: 8, bottom: 34 };

/** The largest of the columns that share a pixel, so that no narrow peak is lost. */
function pooled(row: ArrayLike<number>, bins: number): number[] {
  const result = new Array<number>(bins).fill(-Infinity);
  for (let column = 0; column < row.length; column++) {
    const bin = Math.floor((column * bins) / row.length);
    result[bin] = Math.max(result[bin]!, row[column]!);
  }
  return result;
}

export function HeatMap(props: HeatMapProps) {
  const { label, values, rowLabel, columnLabel, rowName, domain, colourLabel, rowHeight = 20, marked } = props;
  const { describe, onPick, onHover } = props;
  const cursor = useSignal<Cell | null>(null);
  const rows = values.length;
  const columns = values[0]?.length ?? 0;
  const height = rows * rowHeight + margin.top + margin.bottom;

  const cellAt = (event: { clientX: number; clientY: number; currentTarget: EventTarget | null }): Cell | null => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const x = (event.clientX - box.left - margin.left) / (box.width - margin.left - margin.right);
    const y = (event.clientY - box.top - margin.top) / (height - margin.top - margin.bottom);
    if (x < 0 || x >= 1 || y < 0 || y >= 1) return null;
    const row = Math.floor(y * rows);
    // Where several columns share a pixel, the strongest of them is meant.
    const across = Math.max(1, columns / (box.width - margin.left - margin.right));
    const first = Math.floor(x * columns);
    let column = first;
    for (let other = first; other < Math.min(columns, first + across); other++) {
      if (values[row]![other]! > values[row]![column]!) column = other;
    }
    return { row, column };
  };
  const move = (cell: Cell) => {
    cursor.value = cell;
    onHover?.(cell);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const { row, column } = cursor.value ?? marked[0] ?? { row: 0, column: 0 };
    const to: Record<string, Cell> = {
      ArrowLeft: { row, column: column - 1 },
      ArrowRight: { row, column: column + 1 },
      ArrowUp: { row: row - 1, column },
      ArrowDown: { row: row + 1, column },
      PageUp: { row, column: column + 10 },
      PageDown: { row, column: column - 10 },
      Home: { row, column: 0 },
      End: { row, column: columns - 1 },
    };
    if (event.key in to) {
      event.preventDefault();
      const cell = to[event.key]!;
      move({
        row: Math.min(rows - 1, Math.max(0, cell.row)),
        column: Math.min(columns - 1, Math.max(0, cell.column)),
      });
    } else if ((event.key === 'Enter' || event.key === ' ') && onPick) {
      event.preventDefault();
      onPick({ row, column });
    }
  };
  const under = cursor.value && cursor.value.row < rows && cursor.value.column < columns ? cursor.value : null;
  return (
    <div class="heat-map">
      <div
        class="heat-map-plot"
        role="application"
        aria-roledescription="heat map"
        aria-label={`${label}. Arrow keys move${onPick ? ', Enter picks' : ''}.`}
        tabIndex={0}
        onKeyDown={onKeyDown}
        onPointerMove={(event) => {
          const cell = cellAt(event);
          if (cell) move(cell);
        }}
        onClick={(event) => {
          const cell = cellAt(event);
          if (cell) onPick?.(cell);
        }}
      >
        <Plot
          label={label}
          height={height}
          of={[values, marked, under, domain]}
          options={(plot, width) => {
            const bins = Math.min(columns, Math.max(1, width - margin.left - margin.right));
            const perBin = columns / bins;
            const flat = values.flatMap((row) => (bins === columns ? Array.from(row) : pooled(row, bins)));
            const frame = ({ row, column }: Cell) => ({
              x1: column - Math.max(0.5, perBin),
              x2: column + Math.max(0.5, perBin),
              y1: row - 0.5,
              y2: row + 0.5,
            });
            const edges = { x1: 'x1', x2: 'x2', y1: 'y1', y2: 'y2', fill: 'none' } as const;
            return {
              marginLeft: margin.left,
              marginRight: margin.right,
              marginTop: margin.top,
              marginBottom: margin.bottom,
              x: { domain: [-0.5, columns - 0.5], label: columnLabel, tickFormat: 'd' },
              y: {
                domain: [-0.5, rows - 0.5],
                range: [margin.top, height - margin.bottom],
                label: rowLabel,
                labelAnchor: 'center',
                ticks: Array.from({ length: rows }, (_, row) => row).filter(
                  (row) => row % Math.ceil(14 / rowHeight) === 0,
                ),
                tickFormat: (row: number) => rowName?.(row) ?? String(row),
              },
              color: { scheme: 'inferno', type: 'sqrt', ...(domain ? { domain } : {}) },
              marks: [
                plot.raster(flat, {
                  width: bins,
                  height: rows,
                  x1: -0.5,
                  x2: columns - 0.5,
                  y1: -0.5,
                  y2: rows - 0.5,
                  imageRendering: 'pixelated',
                }),
                plot.rect(marked.map(frame), { ...edges, stroke: '#fff', strokeWidth: 3, inset: -1 }),
                plot.rect(marked.map(frame), { ...edges, stroke: 'var(--detail)', strokeWidth: 1.6, inset: -1 }),
                plot.rect(under ? [frame(under)] : [], { ...edges, stroke: '#fff', strokeWidth: 1 }),
              ],
            };
          }}
        />
      </div>
      <p class="readout" aria-live="polite">
        {under ? describe(under) : colourLabel}
      </p>
    </div>
  );
}
