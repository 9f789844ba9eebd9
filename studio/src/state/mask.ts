/** Masks as pictures, for options that take a picture. */
import type { GridMask } from './settings';

export function emptyMask(rows: number, columns: number): GridMask {
  return { rows, columns, cells: new Array<number>(rows * columns).fill(0) };
}

/** White where the mask is, as a PNG in a data URL: one pixel a cell. */
export function maskPng({ rows, columns, cells }: GridMask): string {
  const canvas = document.createElement('canvas');
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext('2d')!;
  const pixels = context.createImageData(columns, rows);
  cells.forEach((cell, at) => pixels.data.set(cell ? [255, 255, 255, 255] : [0, 0, 0, 255], at * 4));
  context.putImageData(pixels, 0, 0);
  return canvas.toDataURL('image/png');
}

/** The same mask on another grid: a cell is chosen when the middle of it was. */
export function resized(mask: GridMask, rows: number, columns: number): GridMask {
  if (mask.rows === rows && mask.columns === columns) return mask;
  const cells = Array.from({ length: rows * columns }, (_, at) => {
    const row = Math.floor(((Math.floor(at / columns) + 0.5) / rows) * mask.rows);
    const column = Math.floor((((at % columns) + 0.5) / columns) * mask.columns);
    return mask.cells[row * mask.columns + column]!;
  });
  return { rows, columns, cells };
}
