/** How the rows that are in the page follow those that are to be there. */
export interface ListWindow {
  columns: number;
  /** Of a row with the gap below it, in pixels. */
  rowHeight: number;
  /** Rows that are in the page. */
  first: number;
  end: number;
}

/** The rows that are to be in the page, and the one to begin with: that of the keyboard's focus, else the first in sight. */
export interface Target extends ListWindow {
  seen: number;
  /** Whether that is the focus's: then its neighbours are there with it, for a key that is quicker than the next frame. */
  hasFocus: boolean;
}

/**
 * One row nearer to the target, those in sight first; the target itself once it is reached. A row is eight pictures to draw
 * and to read: with all rows at once, after a jump, the page would stand still.
 */
export function nearer(now: ListWindow, { seen, hasFocus, ...target }: Target): ListWindow {
  const { columns, rowHeight } = target;
  const [first, end] = [Math.max(now.first, target.first), Math.min(now.end, target.end)];
  const isOther = now.columns !== columns || now.rowHeight !== rowHeight || first >= end;
  const beside = hasFocus ? 1 : 0;
  if (isOther)
    return {
      columns,
      rowHeight,
      first: Math.max(target.first, seen - beside),
      end: Math.min(seen + 1 + beside, target.end),
    };
  if (first > seen || end === target.end) return { columns, rowHeight, first: Math.max(target.first, first - 1), end };
  return { columns, rowHeight, first, end: end + 1 };
}

/** The window with the rows above and below a picture's. */
export function around(now: ListWindow, picture: number, pictures: number): ListWindow {
  const row = Math.floor(picture / now.columns);
  const rows = Math.ceil(pictures / now.columns);
  return { ...now, first: Math.min(now.first, Math.max(0, row - 1)), end: Math.max(now.end, Math.min(rows, row + 2)) };
}
