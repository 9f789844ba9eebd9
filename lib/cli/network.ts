/** Options for a network that judges pictures: `--features`, `--classifier` and what goes with each. */
import { Option, type Command } from 'commander';

import type { NetworkOptions } from '../evaluation';

import { parseNumbers, parseWhole } from './values';

type Role = 'features' | 'classifier';

/** `--features <file>` with its name, range, size, channels, mean and std; or the same for the classifier. */
export function addNetworkOptions(command: Command, role: Role, description: string): Command {
  const add = (flags: string, what: string, parser?: (text: string) => unknown): void => {
    const option = new Option(flags, what);
    command.addOption(parser ? option.argParser(parser) : option);
  };
  add(`--${role} <file>`, description);
  add(`--${role}-name <name>`, "what its figures are called after (default: the file's name)");
  add(`--${role}-range <black,white>`, 'values of black and white that it takes (default: -1,1)', parseNumbers);
  add(`--${role}-size <height,width>`, 'size that it takes (default: that of the pictures)', parseNumbers);
  add(`--${role}-channels <count>`, 'channels that it takes, 1 or 3 (default: those of the pictures)', parseWhole);
  add(`--${role}-mean <values>`, 'subtracted from each channel (default: 0)', parseNumbers);
  add(`--${role}-std <values>`, 'by which each channel is divided (default: 1)', parseNumbers);
  return command;
}

/** What the flags say; undefined when no file is named. */
export function networkFromFlags(flags: object, role: Role): NetworkOptions | undefined {
  const values = flags as Record<string, unknown>;
  if (values[role] === undefined) return undefined;
  const settings = ['name', 'range', 'size', 'channels', 'mean', 'std']
    .map((part) => [part, values[`${role}${part[0]!.toUpperCase()}${part.slice(1)}`]] as const)
    .filter(([, value]) => value !== undefined);
  // Types and ranges are for the facade to check.
  return { file: values[role], ...Object.fromEntries(settings) } as NetworkOptions;
}
