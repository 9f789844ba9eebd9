/** Which rows of a long list are near enough to be in the page: of thousands of pictures a few dozen are. */
import { useSignal, type Signal } from '@preact/signals';
import type { RefObject } from 'preact';
import { useEffect } from 'preact/hooks';

import { around, nearer, type ListWindow, type Target } from './rows';

const gap = 12;
const narrowest = 140;
/** Of the card, under the picture. */
const caption = 35;
/** Rows above and below those in sight, for who tabs through them and for a quick wheel. */
const spare = 3;

/** The picture that has the keyboard's focus, of all of the list: -1 where none has. */
function focused(list: HTMLElement): number {
  const card = document.activeElement?.closest('li');
  return card && list.contains(card) ? Number(card.getAttribute('aria-posinset')) - 1 : -1;
}

function targetOf(list: HTMLElement, pictures: number): Target {
  const { top, width } = list.getBoundingClientRect();
  const columns = Math.max(2, Math.floor((width + gap) / (narrowest + gap)));
  const rowHeight = Math.round((width - gap * (columns - 1)) / columns) + caption + gap;
  const rows = Math.ceil(pictures / columns);
  const end = Math.max(0, Math.min(rows, Math.ceil((innerHeight - top) / rowHeight) + spare));
  const firstSeen = Math.max(0, Math.min(end - 1, Math.floor(-top / rowHeight)));
  const focusRow = Math.floor(focused(list) / columns);
  const hasFocus = focusRow >= firstSeen && focusRow < end;
  const start = hasFocus ? focusRow : firstSeen;
  return { columns, rowHeight, first: Math.max(0, firstSeen - spare), end, seen: start, hasFocus };
}

const isSame = (a: ListWindow, b: ListWindow) =>
  a.columns === b.columns && a.rowHeight === b.rowHeight && a.first === b.first && a.end === b.end;

/** Follows the page as it is scrolled and as it changes its width. */
export function useListWindow(list: RefObject<HTMLElement | null>, pictures: number): Signal<ListWindow> {
  const current = useSignal<ListWindow>({ columns: 2, rowHeight: 200, first: 0, end: 0 });
  useEffect(() => {
    const element = list.current!;
    let frame: number | null = null;
    const move = () => {
      const next = nearer(current.value, targetOf(element, pictures));
      frame = null;
      if (isSame(next, current.value)) return;
      current.value = next;
      frame = requestAnimationFrame(move);
    };
    // A key that is held down is quicker than frames, and from the last row in the page it would leave the list.
    const keepNeighbours = () => {
      const next = around(current.value, focused(element), pictures);
      if (!isSame(next, current.value)) current.value = next;
    };
    const look = () => (frame ??= requestAnimationFrame(move));
    const observer = new ResizeObserver(look);
    observer.observe(element);
    element.addEventListener('focusin', keepNeighbours);
    addEventListener('scroll', look, { passive: true });
    addEventListener('resize', look);
    move();
    return () => {
      if (frame !== null) cancelAnimationFrame(frame);
      observer.disconnect();
      element.removeEventListener('focusin', keepNeighbours);
      removeEventListener('scroll', look);
      removeEventListener('resize', look);
    };
  }, [pictures]);
  return current;
}
