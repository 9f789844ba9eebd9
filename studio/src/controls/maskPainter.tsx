/** A mask painted on a picture, cell by cell; with the keyboard too: arrows move, the space bar paints. */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';

import { emptyMask, resized } from '../state/mask';
import type { GridMask } from '../state/settings';

interface MaskPainterProps {
  label: string;
  /** What is under the mask; null: nothing yet. */
  picture: string | null;
  /** Of the picture, in pixels. */
  width: number;
  height: number;
  rows: number;
  columns: number;
  mask: GridMask | null;
  /** Null: no mask at all. */
  onChange: (mask: GridMask | null) => void;
}

export function MaskPainter({ label, picture, width, height, rows, columns, mask, onChange }: MaskPainterProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const cursor = useSignal<number | null>(null);
  const brush = useSignal(Math.max(1, Math.round(Math.max(rows, columns) / 16)));
  const stroke = useRef<0 | 1 | null>(null);
  const current = mask ? resized(mask, rows, columns) : emptyMask(rows, columns);
  const count = current.cells.reduce((sum, cell) => sum + cell, 0);

  useEffect(() => {
    const context = canvas.current!.getContext('2d')!;
    const pixels = context.createImageData(columns, rows);
    current.cells.forEach((cell, at) => pixels.data.set(cell ? [240, 120, 40, 150] : [0, 0, 0, 0], at * 4));
    context.putImageData(pixels, 0, 0);
  });

  const paint = (cell: number, value: 0 | 1) => {
    const [row, column] = [Math.floor(cell / columns), cell % columns];
    const reach = brush.value - 1;
    const cells = current.cells.map((old, at) => {
      const distance = Math.hypot(Math.floor(at / columns) - row, (at % columns) - column);
      return distance <= reach ? value : old;
    });
    onChange(cells.some(Boolean) ? { rows, columns, cells } : null);
  };
  const cellAt = (event: PointerEvent): number => {
    const box = canvas.current!.getBoundingClientRect();
    const inside = (share: number, cells: number) => Math.min(cells - 1, Math.max(0, Math.floor(share * cells)));
    const row = inside((event.clientY - box.top) / box.height, rows);
    return row * columns + inside((event.clientX - box.left) / box.width, columns);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const at = cursor.value ?? 0;
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (by !== undefined) {
      event.preventDefault();
      const next = at + by;
      if (next >= 0 && next < rows * columns) cursor.value = next;
    } else if (event.key === ' ' || event.key === 'Enter') {
      event.preventDefault();
      cursor.value = at;
      paint(at, current.cells[at] ? 0 : 1);
    }
  };
  const at = cursor.value;
  return (
    <div class="painter">
      <div
        class="painter-frame"
        role="application"
        aria-roledescription="mask"
        aria-label={`${label}. Arrow keys move, the space bar paints.`}
        tabIndex={0}
        style={{ aspectRatio: `${width} / ${height}` }}
        onKeyDown={onKeyDown}
        onBlur={() => (cursor.value = null)}
      >
        {picture !== null && <img src={picture} alt="" class={width <= 128 ? 'pixels' : ''} />}
        <canvas
          ref={canvas}
          width={columns}
          height={rows}
          onPointerDown={(event) => {
            event.currentTarget.setPointerCapture(event.pointerId);
            const cell = cellAt(event);
            // The first cell says whether the stroke paints or wipes.
            stroke.current = current.cells[cell] ? 0 : 1;
            paint(cell, stroke.current);
          }}
          onPointerMove={(event) => {
            if (stroke.current !== null) paint(cellAt(event), stroke.current);
          }}
          onPointerUp={() => (stroke.current = null)}
          onPointerCancel={() => (stroke.current = null)}
        />
        {at !== null && (
          <i
            class="painter-cursor"
            style={{
              left: `${((at % columns) / columns) * 100}%`,
              top: `${(Math.floor(at / columns) / rows) * 100}%`,
              width: `${100 / columns}%`,
              height: `${100 / rows}%`,
            }}
          />
        )}
      </div>
      <div class="painter-tools">
        <label>
          Brush
          <input
            type="range"
            min={1}
            max={Math.max(2, Math.round(Math.max(rows, columns) / 3))}
            step={1}
            value={brush.value}
            onInput={({ currentTarget }) => (brush.value = Number(currentTarget.value))}
          />
        </label>
        <button type="button" class="text-button" onClick={() => onChange(null)}>
          none
        </button>
        <button
          type="button"
          class="text-button"
          onClick={() => {
            const cells = current.cells.map((cell) => 1 - cell);
            onChange(cells.some(Boolean) ? { rows, columns, cells } : null);
          }}
        >
          the others
        </button>
      </div>
      <p class="note" aria-live="polite">
        {count === 0 ? `None of ${rows} × ${columns} chosen` : `${count} of ${rows} × ${columns} chosen`}
        {at === null ? '' : `; row ${Math.floor(at / columns) + 1}, column ${(at % columns) + 1}`}
        {mask && (mask.rows !== rows || mask.columns !== columns)
          ? `. Painted for ${mask.rows} × ${mask.columns}, and scaled.`
          : ''}
      </p>
    </div>
  );
}
