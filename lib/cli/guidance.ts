/** The guidance options that several commands share, and how they join the bundle's own defaults. */
import { Option, type Command } from 'commander';

import type { Bundle } from '../bundle';
import { preset, type GuidanceOptions, type PresetName } from '../guidance';

import { parseChannels, parseNumber, parseWhole } from './values';

/** Detail Guidance with one degraded branch, as the facade takes it. */
export type DetailInput = Exclude<NonNullable<GuidanceOptions['detail']>, unknown[]>;

/** What commander makes of the options below. */
export interface GuidanceFlags {
  guidance: boolean;
  preset?: PresetName;
  cfgScale?: number;
  cfgStart?: number;
  cfgStop?: number;
  detailScale?: number;
  detailLayer?: number;
  detailChannels?: number[] | 'auto';
  retention?: number;
  detailStart?: number;
  detailStop?: number;
}

export function addGuidanceOptions(command: Command): Command {
  const add = (flags: string, description: string, parser: (text: string) => unknown): void => {
    command.addOption(new Option(flags, description).argParser(parser));
  };
  add('--cfg-scale <s>', 'classifier-free guidance scale s; 1 switches it off', parseNumber);
  add('--cfg-start <fraction>', 'first step with classifier-free guidance, as a fraction of the steps', parseNumber);
  add('--cfg-stop <fraction>', 'first step without it again, as a fraction of the steps', parseNumber);
  add('--detail-scale <w>', 'Detail Guidance scale w; 0 switches it off', parseNumber);
  add('--detail-layer <index>', 'block after which the channels are disrupted, from 0', parseWhole);
  add('--detail-channels <list>', "channels to disrupt: 12,49,32, or 'auto' for the bundle's", parseChannels);
  add('--retention <rho>', 'share of those channels that remains: 0 wipes them, 1 leaves them', parseNumber);
  add('--detail-start <fraction>', 'first step with Detail Guidance, as a fraction of the steps', parseNumber);
  add('--detail-stop <fraction>', 'first step without it again, as a fraction of the steps', parseNumber);
  return command;
}

/**
 * The guidance that the flags ask for. What no flag names comes from the preset, else from the bundle's defaults; `--no-guidance` leaves the
 * conditional prediction alone.
 */
export function guidanceFromFlags(flags: GuidanceFlags, bundle: Bundle): GuidanceOptions {
  if (!flags.guidance) return {};
  const own = (bundle.defaults?.guidance ?? {}) as GuidanceOptions;
  const defaults = flags.preset === undefined ? own : preset(flags.preset, { ...own });
  const classifierFree = given({
    ...defaults.classifierFree,
    ...given({ scale: flags.cfgScale, start: flags.cfgStart, stop: flags.cfgStop }),
  });
  const detail: DetailInput = given({
    ...firstOf(defaults.detail),
    ...given({
      scale: flags.detailScale,
      layer: flags.detailLayer,
      channels: flags.detailChannels,
      retention: flags.retention,
      start: flags.detailStart,
      stop: flags.detailStop,
    }),
  });
  // Off is the absence of the branch, not a branch with weight 0 that costs an evaluation and appears in the plan.
  return given({
    ...defaults,
    classifierFree:
      classifierFree.scale === 1 || (isEmpty(classifierFree) && !defaults.classifierFree) ? undefined : classifierFree,
    detail: detail.scale === 0 || (isEmpty(detail) && !defaults.detail) ? undefined : detail,
  }) as GuidanceOptions;
}

/** The flags describe one degraded branch. */
function firstOf<Item>(items: Item | Item[] | undefined): Item | undefined {
  return Array.isArray(items) ? items[0] : items;
}

function given<Shape extends object>(values: Shape): Shape {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Shape;
}

function isEmpty(values: object): boolean {
  return Object.keys(values).length === 0;
}
