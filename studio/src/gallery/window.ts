/** Which rows of a long list are near enough to be in the page: of thousands of pictures a few dozen are. */
import { useSignal, type Signal } from '@preact/signals';
import type { RefObject } from 'preact';
import { useEffect } from 'preact/hooks';

const gap = 12;
const narrowest = 140;
/** Of the card, under the picture. */
const caption = 35;
/** Rows above and below those in sight, for who tabs through them and for a quick wheel. */
const spare = 3;

export interface ListWindow {
  columns: number;
  /** Of a row with the gap below it, in pixels. */
  rowHeight: number;
  /** Rows that are in the page. */
  first: number;
  end: number;
}

const isSame = (a: ListWindow, b: ListWindow) =>
  a.columns === b.columns && a.rowHeight === b.rowHeight && a.first === b.first && a.end === b.end;

function windowOf(list: HTMLElement): ListWindow {
  const { top, width } = list.getBoundingClientRect();
  const columns = Math.max(2, Math.floor((width + gap) / (narrowest + gap)));
  const rowHeight = Math.round((width - gap * (columns - 1)) / columns) + caption + gap;
  const first = Math.max(0, Math.floor(-top / rowHeight) - spare);
  return { columns, rowHeight, first, end: Math.max(0, Math.ceil((innerHeight - top) / rowHeight) + spare) };
}

/** Follows the page as it is scrolled and as it changes its width. */
export function useListWindow(list: RefObject<HTMLElement | null>): Signal<ListWindow> {
  const current = useSignal<ListWindow>({ columns: 2, rowHeight: 200, first: 0, end: 0 });
  useEffect(() => {
    const element = list.current!;
    const look = () => {
      const next = windowOf(element);
      if (!isSame(next, current.value)) current.value = next;
    };
    const observer = new ResizeObserver(look);
    observer.observe(element);
    addEventListener('scroll', look, { passive: true });
    addEventListener('resize', look);
    look();
    return () => {
      observer.disconnect();
      removeEventListener('scroll', look);
      removeEventListener('resize', look);
    };
  }, []);
  return current;
}
