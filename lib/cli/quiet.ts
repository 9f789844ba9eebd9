/** `--quiet`: no progress, no warnings, no names of files that were written. */
import { print } from './print';

let quiet = false;

export function beQuiet(): void {
  quiet = true;
}

export function isQuiet(): boolean {
  return quiet;
}

/** A line for people, unless they want none. */
export function say(line: string, stream: NodeJS.WriteStream = process.stderr): void {
  if (!quiet) print(`${line}\n`, stream);
}
