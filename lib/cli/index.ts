#!/usr/bin/env node
/** The executable: runs one command and turns whatever it threw into a message and an exit code. */
import { unwritable } from '../files/atomic';

import { reportError } from './failure';
import { createProgram } from './program';

// Who reads the output may stop early (`| head`); that is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return;
  reportError(unwritable('Standard output', error), false);
  process.exit(1);
});
// Nor is progress that nobody reads an end of the work, and there is no other place to say it.
process.stderr.on('error', () => undefined);

const program = createProgram();
// Without arguments somebody wants to know what there is; that is no mistake.
const words = process.argv.length > 2 ? process.argv.slice(2) : ['--help'];
program.parseAsync(words, { from: 'user' }).catch((error: unknown) => {
  // Not process.exit(): what is still being written to a pipe must arrive.
  process.exitCode = reportError(error, process.argv.includes('--json'));
});
