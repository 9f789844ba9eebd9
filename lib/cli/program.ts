/** The program's commands and options; what each command does is in the file of its name. */
import { Command, CommanderError } from 'commander';

import { version } from '../files/version';
import { requireWorkingFolder } from '../files/workingFolder';
import { invalid } from '../validation/invalid';

import { analyzeCommand } from './analyze';
import { checkCommand } from './check';
import { demoCommand } from './demo';
import { doctorCommand } from './doctor';
import { dumpCommand } from './dump';
import { evaluateCommand } from './evaluate';
import { exportCommand } from './export';
import { featuresCommand } from './features';
import { generateCommand } from './generate';
import { inspectCommand } from './inspect';
import { interveneCommand } from './intervene';
import { beQuiet } from './quiet';
import { packLibtorchCommand } from './packLibtorch';
import { quantizeCommand } from './quantize';
import { serveCommand } from './serve';
import { studioCommand } from './studio';
import { workerCommand } from './worker';
import { setupCommand } from './setup';

/** A command line that commander does not understand throws CommanderError instead of ending the process. */
export function createProgram(): Command {
  const program = new Command('detail-guidance')
    .description('Detail Guidance for Diffusion Transformers, natively: samples, inspects and checks.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print this help, or that of a command')
    .showSuggestionAfterError();
  for (const command of [
    demoCommand(),
    analyzeCommand(),
    generateCommand(),
    serveCommand(),
    studioCommand(),
    workerCommand(),
    dumpCommand(),
    inspectCommand(),
    checkCommand(),
    exportCommand(),
    quantizeCommand(),
    evaluateCommand(),
    interveneCommand(),
    featuresCommand(),
    setupCommand(),
    packLibtorchCommand(),
    doctorCommand(),
  ]) {
    program.addCommand(
      command.option('-q, --quiet', 'no progress, warnings or names of files: only errors and results'),
    );
  }
  program.addCommand(
    new Command('version').description('print the version').action(() => void process.stdout.write(`${version()}\n`)),
  );
  program.hook('preAction', (_program, command) => {
    if (command.name() !== 'version') requireWorkingFolder();
    refuseEmptyPaths(command);
    if (command.opts<{ quiet?: boolean }>().quiet) beQuiet();
  });
  for (const command of [program, ...program.commands]) {
    // One way to print an error, in errors.ts; commander would print its own and exit.
    command.exitOverride().configureOutput({ outputError: () => undefined });
  }
  return program;
}

/** An empty name would stand for the current folder. @throws BAD_OPTION */
function refuseEmptyPaths(command: Command): void {
  const flagValues = command.opts<Record<string, unknown>>();
  const values = [
    ...command.options.map((option) => [option.flags, option.long!, flagValues[option.attributeName()]]),
    ...command.registeredArguments.map((argument, at) => [`<${argument.name()}>`, argument.name(), command.args[at]]),
  ] as [string, string, unknown][];
  for (const [flags, name, value] of values) {
    const kind = /[<[](file|folder|place)\b/.exec(flags)?.[1];
    if (kind !== undefined && value === '') throw invalid(name, `the name of a ${kind}`, value);
  }
}

export { CommanderError };
