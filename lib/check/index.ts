/** A look at a stranger's bundle, in a process of its own with little memory and time, and without files or network. */
import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { z } from 'zod';

import { packageRoot } from '../files/packageRoot';
import { describedBy } from '../validation/describedBy';
import { AbortError, DetailGuidanceError } from '../validation/errors';
import { parse } from '../validation/parse';
import { abortSignal, strictObject, text } from '../validation/vocabulary';

import type { CheckResult, CheckTask } from './report';

export type { BundleReport, CheckedEvaluation, CheckResult } from './report';

/** What `checkBundle` takes. */
export interface CheckOptions {
  /** Bytes of memory at most. Default: 8 GiB. */
  memoryBytes?: number;
  /** Seconds at most. Default: 300. */
  seconds?: number;
  /** Ends the process; the call then rejects with an AbortError. */
  signal?: AbortSignal;
}

const optionsSchema = describedBy<CheckOptions>()(
  strictObject({
    memoryBytes: z
      .int({ error: 'a whole number of bytes from 268435456' })
      .min(2 ** 28, 'a whole number of bytes from 268435456')
      .default(2 ** 33),
    seconds: z
      .number({ error: 'a number of seconds from 1' })
      .min(1, 'a number of seconds from 1')
      .max(86_400, 'at most 86400 seconds')
      .default(300),
    signal: abortSignal().optional(),
  }),
);

/**
 * Opens a bundle and evaluates it once on its smallest inputs, in a process of its own that may use so much memory and
 * time, and, where the system offers that, writes no file, opens no socket and starts no program
 * (`CheckResult.confinement`). What the process ends in is the result, not an error.
 *
 * @param location folder of a bundle, or `'embedded'`
 * @throws BAD_OPTION; ADDON_NOT_BUILT where the package is not built; ABORT_ERR
 */
export async function checkBundle(location: string, options: CheckOptions = {}): Promise<CheckResult> {
  const bundle = parse(text("the path of a bundle's folder, or 'embedded'"), location, 'The bundle');
  const { memoryBytes, seconds, signal } = parse(optionsSchema, options, 'options');
  if (signal?.aborted) throw new AbortError(signal.reason);
  const program = join(packageRoot(), 'dist', 'check.cjs');
  if (!existsSync(program)) {
    throw new DetailGuidanceError('ADDON_NOT_BUILT', `${program} is missing; npm run build makes it.`);
  }
  const task: CheckTask = { location: bundle === 'embedded' ? bundle : resolve(bundle), memoryBytes };
  return watch(program, task, seconds, signal);
}

function watch(program: string, task: CheckTask, seconds: number, signal?: AbortSignal): Promise<CheckResult> {
  // Nothing of this process goes with it but what it needs to start.
  const child = fork(program, [], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'], execArgv: [] });
  return new Promise((fulfil, reject) => {
    const failed = (message: string) => {
      const confinement = { memory: false, files: false, network: false, programs: false };
      settle(() => fulfil({ ok: false, confinement, report: null, failure: { code: 'CHECK_ENDED', message } }));
    };
    const settle = (give: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      child.removeAllListeners();
      child.on('error', () => undefined);
      child.kill('SIGKILL');
      give();
    };
    const abort = () => settle(() => reject(new AbortError(signal?.reason)));
    const timer = setTimeout(() => failed(`The process took longer than ${seconds} seconds.`), seconds * 1000);
    signal?.addEventListener('abort', abort, { once: true });
    child.once('message', (result) => settle(() => fulfil(result as CheckResult)));
    child.once('error', (error) => failed(`The process could not be started: ${error.message}.`));
    child.once('exit', (code, how) => failed(`The process ended by itself (${how ?? `exit code ${code}`}).`));
    child.send(task);
  });
}
