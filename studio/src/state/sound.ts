/**
 * Settings from outside: a dropped PNG, the browser's storage, another version of this page. Only what has the type and the
 * size of an option is taken.
 */
import type { Retention } from '../api/types';

import { initialSettings, type GridMask, type Settings } from './initialSettings';

/** The value as it is taken; undefined: it is none. */
type Reader<Value> = (value: unknown) => Value | undefined;
type Readers<Shape> = { [Name in keyof Shape]: Reader<Shape[Name]> };

export type Unknowns = Record<string, unknown>;

/** An object's own entries; none of what is no object. */
export const entriesOf = (value: unknown): Unknowns =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Unknowns) : {};

/** At most so many UTF-16 units, and no half of a pair of them. */
export const cut = (words: string, most: number): string => words.slice(0, most).replace(/[\uD800-\uDBFF]$/, '');

/** What a stranger wrote, in a sentence of ours. */
export const clipped = (words: string): string => (words.length > 80 ? `${cut(words, 80)}…` : words);

/** The first of a list, and what is no list. */
export const firstOf = (value: unknown): unknown => (Array.isArray(value) ? value[0] : value);

const when =
  <Value>(fits: (value: Value) => boolean): Reader<Value> =>
  (value) =>
    fits(value as Value) ? (value as Value) : undefined;
const either =
  <A, B>(one: Reader<A>, other: Reader<B>): Reader<A | B> =>
  (value) =>
    one(value) ?? other(value);
const exactly = <Value>(constant: Value): Reader<Value> => when((value) => value === constant);
/** Null is taken for undefined by `??`, so it goes by itself. */
const orNull =
  <Value>(reader: Reader<Value>): Reader<Value | null> =>
  (value) =>
    value === null ? null : reader(value);
const text = (longest: number): Reader<string> => when((value) => typeof value === 'string' && value.length <= longest);
const number = (low: number, high: number): Reader<number> =>
  when((value) => Number.isFinite(value) && value >= low && value <= high);
const whole = (low: number, high: number): Reader<number> =>
  when((value) => Number.isSafeInteger(value) && value >= low && value <= high);
const list = <Value>(item: Reader<Value>, most: number): Reader<Value[]> =>
  when(
    (values) =>
      Array.isArray(values) &&
      values.length > 0 &&
      values.length <= most &&
      values.every((value) => item(value) !== undefined),
  );

/** More than that is no prompt, and no mask that anybody paints. */
const longestText = 100_000;
const mostCells = 1024;

const share = number(0, 1);
const rho = number(-10, 10);

function retention(value: unknown): Retention | undefined {
  const constant = rho(value);
  if (constant !== undefined) return constant;
  const { kind, data, noise, times, values } = entriesOf(value);
  if (kind === 'linear' || kind === 'cosine') {
    const [low, high] = [rho(data), rho(noise)];
    return low === undefined || high === undefined ? undefined : { kind, data: low, noise: high };
  }
  const [at, of] = [list(share, 1000)(times), list(rho, 1000)(values)];
  const isTable = kind === 'table' && at && of && at.length === of.length;
  return isTable && at.every((time, index) => index === 0 || time > at[index - 1]!)
    ? { kind, times: at, values: of }
    : undefined;
}

export function mask(value: unknown): GridMask | undefined {
  const { rows, columns, cells } = entriesOf(value);
  const side = whole(1, mostCells);
  const [tall, wide] = [side(rows), side(columns)];
  if (!tall || !wide || !Array.isArray(cells) || cells.length !== tall * wide) return undefined;
  return { rows: tall, columns: wide, cells: cells.map((cell) => (cell ? 1 : 0)) };
}

const readers: Readers<Omit<Settings, 'cfg' | 'detail'>> = {
  bundle: orNull(text(1000)),
  classLabel: whole(0, 1e6),
  prompt: text(longestText),
  negativePrompt: text(longestText),
  width: orNull(whole(1, 65_536)),
  height: orNull(whole(1, 65_536)),
  numFrames: orNull(whole(1, 10_000)),
  seed: whole(0, Number.MAX_SAFE_INTEGER),
  seedLocked: when((value) => typeof value === 'boolean'),
  steps: orNull(whole(1, 1000)),
  sampler: orNull(text(100)),
  embedded: orNull(number(0, 100)),
  image: orNull(when((value) => typeof value === 'string' && /^data:image\/(png|jpeg|webp);base64,/.test(value))),
  strength: share,
  repaint: orNull(mask),
};

const cfgReaders: Readers<Settings['cfg']> = { scale: number(0, 100), start: share, stop: share };

const detailReaders: Readers<Settings['detail']> = {
  scale: number(0, 100),
  layer: either(exactly('auto'), whole(0, 10_000)),
  channels: either(exactly('auto'), list(whole(0, 1e6), 10_000)),
  retention,
  start: share,
  stop: share,
  tokens: orNull(mask),
};

function read<Shape extends object>(
  from: unknown,
  by: Readers<Shape>,
  otherwise: Shape,
  leave: (name: string) => void,
): Shape {
  const entries = entriesOf(from);
  const all = Object.entries(by).map(([name, reader]): [string, unknown] => {
    const before = otherwise[name as keyof Shape];
    if (!Object.hasOwn(entries, name) || entries[name] === undefined) return [name, before];
    const value = (reader as Reader<unknown>)(entries[name]);
    if (value === undefined) leave(name);
    return [name, value === undefined ? before : value];
  });
  return Object.fromEntries(all) as Shape;
}

/** @returns whole settings, and the names of what could not be taken; what is missing is as in `otherwise` */
export function soundSettings(from: unknown, otherwise = initialSettings): { settings: Settings; left: string[] } {
  const left: string[] = [];
  const { cfg, detail } = entriesOf(from);
  const settings: Settings = {
    ...read(from, readers, otherwise, (name) => left.push(name)),
    cfg: read(cfg, cfgReaders, otherwise.cfg, (name) => left.push(`CFG ${name}`)),
    detail: read(detail, detailReaders, otherwise.detail, (name) => left.push(`Detail ${name}`)),
  };
  return { settings, left };
}
