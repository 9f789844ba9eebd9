#!/usr/bin/env node
/** The executable: runs one command and turns whatever it threw into a message and an exit code. */
import { reportError } from './failure';
import { createProgram } from './program';

createProgram()
  .parseAsync()
  .catch((error: unknown) => {
    // Not process.exit(): what is still being written to a pipe must arrive.
    process.exitCode = reportError(error, process.argv.includes('--json'));
  });
