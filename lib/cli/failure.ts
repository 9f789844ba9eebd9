/** How a command fails: `code: message` on stderr, an exit code, and with --json one JSON document on stdout. */
import { CommanderError } from 'commander';

import { permissionRefusal } from '../files/permission';
import { DetailGuidanceError, errorCodes } from '../validation/errors';

import { Interrupted } from './interrupt';
import { print } from './print';

/**
 * Prints an error for people (stderr) and, where asked, for programs (stdout).
 *
 * @returns the exit code: 0 for help and version, 130 or 143 for an interrupt, else 1
 */
export function reportError(error: unknown, json: boolean): number {
  if (error instanceof CommanderError && error.exitCode === 0) return 0;
  const { code, message, exitCode, received, expected } = describe(error);
  print(`${code}: ${message}\n`, process.stderr);
  if (process.env['DEBUG'] && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  if (json) printJson({ error: { code, message, received, expected } });
  return exitCode;
}

/** One JSON document on stdout; big integers as text, typed arrays as lists. */
export function printJson(value: unknown): void {
  const replace = (_key: string, item: unknown): unknown => {
    if (typeof item === 'bigint') return item.toString();
    if (ArrayBuffer.isView(item) && !(item instanceof DataView)) return Array.from(item as Uint8Array);
    return item;
  };
  print(`${JSON.stringify(value, replace, 2)}\n`);
}

interface Failure {
  code: string;
  message: string;
  exitCode: number;
  received?: unknown;
  expected?: string;
}

function describe(error: unknown): Failure {
  const interrupt = interruptOf(error);
  if (interrupt) return { code: 'ABORT_ERR', message: interrupt.message, exitCode: interrupt.exitCode };
  if (error instanceof DetailGuidanceError) {
    return {
      code: error.code,
      message: error.message,
      exitCode: 1,
      received: error.received,
      expected: error.expected,
    };
  }
  if (error instanceof CommanderError) {
    // `help` of what is no command prints the help of the program and has no message.
    if (error.code === 'commander.help')
      return { code: 'BAD_OPTION', message: 'there is no such command', exitCode: 1 };
    const message = error.message
      .replace(/^error: /, '')
      .replace(
        /^option '(?:-\w, )?(--[\w-]+).*?' argument '(.*)' is invalid\. (expected .*)\.$/s,
        "$1: $3, received '$2'",
      )
      .replace(/\s*\n\s*/g, ' ');
    return { code: 'BAD_OPTION', message: `${message} (see --help)`, exitCode: 1 };
  }
  const refusal = permissionRefusal(error);
  if (refusal !== null) return { code: 'BAD_OPTION', message: `${refusal}.`, exitCode: 1 };
  const message = error instanceof Error ? error.message : String(error);
  // Errors of setup/ and of the addon are no class of lib's, but they carry its codes.
  const code = (error as { code?: unknown } | null)?.code;
  if (errorCodes.some((known) => known === code)) return { code: String(code), message, exitCode: 1 };
  return { code: 'UNEXPECTED', message: `${message} (this is a bug; DEBUG=1 prints where)`, exitCode: 1 };
}

function interruptOf(error: unknown): Interrupted | null {
  if (error instanceof Interrupted) return error;
  return error instanceof Error && error.cause instanceof Interrupted ? error.cause : null;
}
