/** The options of commands that sample one request: what is in the pictures, their seeds, steps and guidance. */
import { Option, type Command } from 'commander';

import { presetNames } from '../guidance';
import type { Seed } from '../request/seeds';
import type { SchedulerChanges } from '../schedule';

import { addGuidanceOptions, type GuidanceFlags } from './guidance';
import { addSampleOptions, type SampleFlags } from './load';
import { parseClass, parseObject, parseScheduler, parseSeed, parseWhole } from './values';

/** What commander makes of the options below. */
export interface RunFlags extends GuidanceFlags, SampleFlags {
  class?: number | string;
  prompt?: string;
  negativePrompt?: string;
  seed: Seed;
  steps?: number;
  scheduler?: SchedulerChanges;
  numImages?: number;
}

/** @param pictures how many there are without --num-images, in words */
export function addRunOptions(command: Command, pictures: string): Command {
  command
    .option('-c, --class <class>', 'class, by number or label', parseClass)
    .option('-p, --prompt <text>', 'what the picture shows, for models with text encoders')
    .option('--negative-prompt <text>', 'what it should not show')
    .option('--seed <seed>', 'seed of the first picture; the next one takes the next', parseSeed, 0)
    .option('--steps <count>', "sampling steps (default: the bundle's)", parseWhole)
    .option(
      '--scheduler <sampler>',
      "sampler in place of the bundle's: its name, or its options as JSON",
      parseScheduler,
    )
    .option('-n, --num-images <count>', `pictures (default: ${pictures})`, parseWhole)
    .addOption(new Option('--preset <name>', "a preset in place of the bundle's guidance").choices(presetNames))
    .addOption(
      new Option('--guidance <options>', 'the option guidance of generate, as JSON or a file with it')
        .argParser(parseObject)
        .conflicts('preset'),
    )
    .option('--no-guidance', 'the conditional prediction alone');
  return addSampleOptions(addGuidanceOptions(command));
}
