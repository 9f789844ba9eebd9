/** Prompts on the command line, for the commands that look at many pictures of a model with text encoders. */
import { readFile } from 'node:fs/promises';

import { InvalidArgumentError, type Command } from 'commander';

import { invalid, reasonOf } from '../validation/invalid';

export interface PromptFlags {
  prompt?: string[];
  prompts?: string;
}

export function addPromptOptions(command: Command): Command {
  return command
    .option('-p, --prompt <text>', 'a prompt, for models with text encoders; may be given several times', collect)
    .option('--prompts <file>', 'a text file with a prompt on each line; empty lines are left out');
}

function collect(text: string, before: string[] | undefined): string[] {
  if (text.trim() === '') throw new InvalidArgumentError('expected a prompt with words.');
  return [...(before ?? []), text];
}

/**
 * The prompts of both flags, those of the command line first; undefined without any.
 *
 * @throws BAD_OPTION for a file that cannot be read or has no prompt in it
 */
export async function readPrompts({ prompt = [], prompts }: PromptFlags): Promise<string[] | undefined> {
  if (prompts === undefined) return prompt.length > 0 ? prompt : undefined;
  const expected = 'a text file with a prompt on each line';
  const text = await readFile(prompts, 'utf8').catch((cause: unknown) => {
    throw invalid('--prompts', expected, prompts, { note: reasonOf(cause), cause });
  });
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const nonEmpty = lines.filter((line) => line !== '');
  if (nonEmpty.length === 0) throw invalid('--prompts', expected, prompts, { note: 'it has none' });
  return [...prompt, ...nonEmpty];
}

/** The contents of evaluations: the prompts in turn, picture i of prompt i modulo their number. */
export function promptsInTurn(
  prompts: string[] | undefined,
): ((first: number, count: number) => { prompt: string[] }) | undefined {
  if (!prompts) return undefined;
  return (first, count) => ({
    prompt: Array.from({ length: count }, (_, index) => prompts[(first + index) % prompts.length]!),
  });
}
