/**
 * The words in which options are described. Each schema carries what it expects, as a noun; the error that the caller
 * sees is made of it in invalid.ts.
 */
import { distance } from 'fastest-levenshtein';
import { z } from 'zod';

/** A finite number in [minimum, maximum]; NaN and infinities are refused. */
export function finite(minimum = -Number.MAX_VALUE, maximum = Number.MAX_VALUE) {
  const range = describeRange(minimum, maximum);
  return z
    .number({ error: `a finite number${range}` })
    .min(minimum, `a finite number${range}`)
    .max(maximum, `a finite number${range}`);
}

/** A whole number in [minimum, maximum]. */
export function whole(minimum: number, maximum: number = Number.MAX_SAFE_INTEGER) {
  const expected = `a whole number${describeRange(minimum, maximum)}`;
  return z.int({ error: expected }).min(minimum, expected).max(maximum, expected);
}

/** One of some texts. */
export function choice<const Values extends readonly string[]>(values: Values) {
  return z.enum(values, { error: `one of ${values.map((value) => `'${value}'`).join(', ')}` });
}

/** true or false. */
export function flag() {
  return z.boolean({ error: 'true or false' });
}

/** A text that is not empty. */
export function text(expected = 'a text that is not empty') {
  return z.string({ error: expected }).min(1, expected);
}

/** One of several forms; `expected` describes them together. */
export function either<const Schemas extends readonly [z.ZodType, ...z.ZodType[]]>(schemas: Schemas, expected: string) {
  return z.union(schemas, { error: expected });
}

/** A list with at least one element. */
export function list<Element extends z.ZodType>(element: Element, expected: string) {
  return z.array(element, { error: expected }).min(1, expected);
}

/** An AbortSignal, of whatever realm. */
export function abortSignal() {
  return z.custom<AbortSignal>(
    (value) => typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value,
    { error: 'an AbortSignal' },
  );
}

/** A function of the caller's. */
export function callback<Event, Result = unknown>() {
  return z.custom<(event: Event) => Result>((value) => typeof value === 'function', { error: 'a function' });
}

/** An object with these keys and no others; an unknown key is answered with the nearest known ones. */
export function strictObject<Shape extends z.ZodRawShape>(shape: Shape) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return `an object with any of ${known.join(', ')}`;
      const unknown = (issue as unknown as { keys: string[] }).keys[0]!;
      return nearest(unknown, known);
    },
  });
}

/** What is expected in the place of an unknown name: the nearest known ones first, then all. */
export function nearest(unknown: string, known: readonly string[]): string {
  const near = nearestName(unknown, known);
  return near === undefined ? `one of ${known.join(', ')}` : `${near} (known: ${known.join(', ')})`;
}

/** `'seed'` for `sed`: the known names nearest to a misspelt one; undefined where none is near. */
export function nearestName(unknown: string, known: readonly string[]): string | undefined {
  if (unknown.length > 200) return undefined;
  const near = known
    .map((name) => ({ name, edits: distance(unknown.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, edits }) => edits <= Math.max(2, Math.floor(name.length / 3)))
    .sort((a, b) => a.edits - b.edits)
    .slice(0, 3)
    .map(({ name }) => `'${name}'`);
  return near.length > 0 ? near.join(' or ') : undefined;
}

function describeRange(minimum: number, maximum: number): string {
  const low = minimum > -Number.MAX_VALUE && minimum > Number.MIN_SAFE_INTEGER;
  const high = maximum < Number.MAX_SAFE_INTEGER;
  if (low && high) return ` from ${minimum} to ${maximum}`;
  if (low) return ` from ${minimum}`;
  return high ? ` up to ${maximum}` : '';
}
