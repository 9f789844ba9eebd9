/**
 * The bytes of pictures as they come into sight, a few at a time and the next ones in a task of their own: answers of the
 * database that are there are all handled in one task, and with dozens of them the page would stand still.
 */
import { gallery } from './pictures';

const atOnce = 4;
const waiting: (() => Promise<void>)[] = [];
let reading = 0;

function work(): void {
  while (reading < atOnce) {
    // The latest first: what was asked for before may be out of sight by now.
    const next = waiting.pop();
    if (!next) return;
    reading++;
    void next().finally(() => {
      reading--;
      setTimeout(work);
    });
  }
}

/** Tells an address of the picture, unless it is called off before or there is no picture. @returns calls it off, and frees the address */
export function readPicture(id: string, tell: (address: string) => void): () => void {
  let address: string | null = null;
  let isOff = false;
  const read = async () => {
    // Its frame stays empty where it cannot be read; the list says what is wrong with the gallery.
    const png = await gallery.png(id).catch(() => null);
    if (!png || isOff) return;
    address = URL.createObjectURL(png);
    tell(address);
  };
  waiting.push(read);
  work();
  return () => {
    isOff = true;
    const at = waiting.indexOf(read);
    if (at >= 0) waiting.splice(at, 1);
    if (address !== null) URL.revokeObjectURL(address);
  };
}
