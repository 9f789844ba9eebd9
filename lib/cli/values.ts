/** What stands after an option on the command line, read into the types that the facade takes; ranges are its to check. */
import { readFileSync } from 'node:fs';

import { InvalidArgumentError } from 'commander';

import type { Retention, Tokens } from '../guidance';
import { decodePng } from '../image/png';
import type { Seed } from '../request/seeds';
import { reasonOf } from '../validation/invalid';

export function parseNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('expected a finite number.');
  return value;
}

export function parseWhole(text: string): number {
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(Number(text))) {
    throw new InvalidArgumentError('expected a whole number from 0.');
  }
  return Number(text);
}

/** 64 bits, as torch's generators take; a bigint where a number would not be exact. */
export function parseSeed(text: string): Seed {
  const value = /^\d{1,20}$/.test(text) ? BigInt(text) : -1n;
  if (value < 0n || value >= 2n ** 64n) {
    throw new InvalidArgumentError('expected a whole number from 0 to 18446744073709551615.');
  }
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

/** `12,49,32` or `auto`. */
export function parseChannels(text: string): number[] | 'auto' {
  if (text === 'auto') return 'auto';
  return text.split(',').map((part) => {
    if (!/^\s*\d+\s*$/.test(part))
      throw new InvalidArgumentError("expected 'auto' or channel numbers such as 12,49,32.");
    return Number(part);
  });
}

/** `4` or `auto`. */
export const parseLayer = (text: string): number | 'auto' => (text === 'auto' ? text : parseWhole(text));

/** JSON as it stands there, or the name of a file with it. The facade checks what is in it. */
export function parseJson(text: string): unknown {
  const isInline = /^\s*[[{]/.test(text);
  try {
    return JSON.parse(isInline ? text : readFileSync(text, 'utf8'));
  } catch (error) {
    throw new InvalidArgumentError(`expected JSON, or the name of a file with it: ${reasonOf(error)}.`);
  }
}

/** An object as JSON, or in a file. */
export function parseObject(text: string): object {
  const value = parseJson(text);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new InvalidArgumentError('expected an object of options as JSON.');
}

/** A number, or a schedule over the time as JSON. */
export function parseRetention(text: string): Retention {
  return Number.isFinite(Number(text)) && text.trim() !== '' ? Number(text) : (parseJson(text) as Retention);
}

/** `0,7,8`; a mask as JSON rows; a mask as a PNG, white where it is. */
export function parseTokens(text: string): Tokens {
  if (/^\d+(,\d+)*$/.test(text)) return parseWholes(text);
  if (!/\.png$/i.test(text)) return parseJson(text) as Tokens;
  try {
    const { width, height, channels, pixels } = decodePng(readFileSync(text));
    const white = (at: number) => pixels[at * channels]! / 255;
    return Array.from({ length: height }, (_, row) => Array.from({ length: width }, (_, x) => white(row * width + x)));
  } catch (error) {
    throw new InvalidArgumentError(`expected a PNG, white where the mask is: ${reasonOf(error)}.`);
  }
}

/** A sampler by its name, or with options as JSON. */
export function parseScheduler(text: string): object {
  return /^\s*\{/.test(text) ? parseObject(text) : { kind: text };
}

/** `0,5,29`. */
export function parseWholes(text: string): number[] {
  return text.split(',').map((part) => parseWhole(part.trim()));
}

/** `50,99.9`. */
export function parseNumbers(text: string): number[] {
  return text.split(',').map(parseNumber);
}

/** `blocks.*`, `blocks.3:attention`, `blocks.3:output:text`. */
export function parseSite(text: string): { path: string; tap?: string; stream?: string } {
  const [path, tap, stream, ...more] = text.split(':');
  if (!path || more.length > 0) throw new InvalidArgumentError('expected path, path:tap or path:tap:stream.');
  return { path, ...(tap ? { tap } : {}), ...(stream ? { stream } : {}) };
}

/** A class by its number or by its label. */
export function parseClass(text: string): number | string {
  return /^\d+$/.test(text) ? Number(text) : text;
}
