/** What a picture was made with and this page's request for it is not. */
import { clipped, entriesOf, firstOf, type Unknowns } from './sound';

/** So many are named. */
const most = 6;

/**
 * Names of the options in which the guidance and the sampler of a picture are others than those of the request that its
 * settings became. Masks are not looked at: they are painted, on another grid it may be.
 */
export function lostOf(picture: Unknowns, request: Unknowns): string[] {
  const names = Object.entries(picture).flatMap(([name, value]): string[] => {
    const other = request[name];
    // Of several the page has the first, which is said.
    const one = Array.isArray(value) && !Array.isArray(other) && typeof other === 'object' ? firstOf(value) : value;
    if (name === 'tokens' || one === undefined) return [];
    if (isObject(one) && isObject(other))
      return lostOf(entriesOf(one), entriesOf(other)).map((inner) => `${name}.${inner}`);
    return JSON.stringify(one) === JSON.stringify(other) ? [] : [clipped(name)];
  });
  return names.slice(0, most);
}

const isObject = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value);
