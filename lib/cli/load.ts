/** Where and in which precision a command runs the model. */
import { Option, type Command } from 'commander';

import type { LoadOptions } from '../model/loadOptions';

import { parseWhole } from './values';

export interface LoadFlags {
  device?: LoadOptions['device'];
  dtype?: LoadOptions['dtype'];
  offload?: LoadOptions['offload'];
  /** Of the commands that have it. */
  lowMemory?: boolean;
}

export interface SampleFlags extends LoadFlags {
  batchSize?: number;
}

export function addLoadOptions(command: Command): Command {
  return command
    .addOption(new Option('--device <device>', "'auto', 'cpu', 'cuda' or 'cuda:N'").default('auto'))
    .addOption(new Option('--dtype <dtype>', "'float32', 'bfloat16', 'float16' or 'auto'").default('float32'))
    .addOption(
      new Option(
        '--offload <what>',
        "'blocks': their weights wait in host memory, and those of two at a time are on the device",
      ).choices(['blocks']),
    );
}

/** The options of `loadPipeline` that the flags say. */
export function loadOptionsOf({ device, dtype, offload, lowMemory }: LoadFlags): Pick<LoadOptions, keyof LoadFlags> {
  return { device, dtype, ...(offload === undefined ? {} : { offload }), ...(lowMemory ? { lowMemory } : {}) };
}

/** For commands that sample: the above, and how many pictures share an evaluation. */
export function addSampleOptions(command: Command): Command {
  const text =
    'pictures in one evaluation of the model; above 1 a picture may depend on its neighbours in the last bit';
  return addLoadOptions(command).addOption(new Option('--batch-size <count>', text).argParser(parseWhole));
}
