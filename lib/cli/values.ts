/** What stands after an option on the command line, read into the types that the facade takes; ranges are its to check. */
import { InvalidArgumentError } from 'commander';

import type { Seed } from '../request/seeds';

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
