/** The reference of the command line, docs/cli.md, made of the program itself. */
import type { Argument, Command, Option } from 'commander';

import { createProgram } from '../../../lib/cli/program';

export function reference(): string {
  const { commands } = createProgram();
  return [
    '# Command line',
    '',
    'Every command and option, as the program describes them (`UPDATE_REFERENCE=1 npx jest test/lib/cli/reference` writes',
    'this page). `npx detail-guidance` runs it in an application, `node dist/cli.js` in this repository; without arguments',
    'it prints its help. Every command takes `-h`, `--help`, and `-q`, `--quiet`: no progress, no warnings, no names of files',
    '([a script](guides/script.md) says what is printed where, and the exit codes).',
    '',
    ...commands.flatMap(section),
  ].join('\n');
}

function section(command: Command): string[] {
  const usage = ['detail-guidance', command.name(), ...command.registeredArguments.map(argumentText)];
  return [
    `## ${command.name()}`,
    '',
    `\`${usage.join(' ')}\``,
    '',
    `${sentence(command.description())}.`,
    '',
    ...command.registeredArguments.filter(({ description }) => description).map(argumentLine),
    ...command.options.filter(({ long, hidden }) => long !== '--quiet' && !hidden).map(optionLine),
    '',
  ].flatMap((line, index, lines) => (line === '' && lines[index - 1] === '' ? [] : [line]));
}

const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

const argumentText = (argument: Argument) => {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
  return argument.required ? `<${name}>` : `[${name}]`;
};

const argumentLine = (argument: Argument) => `- \`${argumentText(argument)}\`: ${escaped(argument.description)}`;

function optionLine({ flags, description, argChoices, defaultValue, defaultValueDescription, negate }: Option): string {
  const standard = defaultValueDescription ?? (negate || defaultValue === undefined ? undefined : String(defaultValue));
  const notes = [
    ...(argChoices ? [`one of ${argChoices.map((choice) => `\`${choice}\``).join(', ')}`] : []),
    ...(standard === undefined || standard === '' ? [] : [`default: ${escaped(standard)}`]),
  ];
  const text = [escaped(description), ...(notes.length > 0 ? [`(${notes.join('; ')})`] : [])].filter(Boolean).join(' ');
  return `- \`${flags}\`${text === '' ? '' : `: ${text}`}`;
}

const escaped = (text: string) => text.replace(/[*_<>[\]]/g, '\\$&');
