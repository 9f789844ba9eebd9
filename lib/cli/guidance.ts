/** The guidance options that several commands share, and how they join the bundle's own defaults. */
import { Option, type Command } from 'commander';

import type { Bundle } from '../bundle';
import { preset, type GuidanceOptions, type PresetName, type Retention, type Tokens } from '../guidance';

import { parseChannels, parseLayer, parseNumber, parseRetention, parseTokens } from './values';

/** Detail Guidance with one degraded branch, as the facade takes it. */
export type DetailInput = Exclude<NonNullable<GuidanceOptions['detail']>, unknown[]>;

/** What commander makes of the options below. */
export interface GuidanceFlags {
  /** False: none at all; options: in place of the bundle's. */
  guidance?: boolean | GuidanceOptions;
  preset?: PresetName;
  cfgScale?: number;
  cfgStart?: number;
  cfgStop?: number;
  detailScale?: number;
  detailLayer?: number | 'auto';
  detailChannels?: number[] | 'auto';
  detailTokens?: Tokens;
  retention?: Retention;
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
  add(
    '--detail-scale <w>',
    'Detail Guidance scale w; 0 switches it off; classifier-free guidance stays as it was: --cfg-scale 1 switches that off',
    parseNumber,
  );
  add('--detail-layer <index>', "block after which the channels are disrupted, from 0, or 'auto'", parseLayer);
  add('--detail-channels <list>', "channels to disrupt: 12,49,32, or 'auto' for the bundle's", parseChannels);
  add(
    '--retention <rho>',
    'share of those channels that remains: 0 wipes them, 1 leaves them; a schedule over the time as JSON',
    parseRetention,
  );
  add(
    '--detail-tokens <tokens>',
    'image tokens that are disrupted: 0,7,8, or a mask: JSON rows, or a PNG that is white there (default: all)',
    parseTokens,
  );
  add('--detail-start <fraction>', 'first step with Detail Guidance, as a fraction of the steps', parseNumber);
  add('--detail-stop <fraction>', 'first step without it again, as a fraction of the steps', parseNumber);
  return command;
}

/**
 * The guidance that the flags ask for. What no flag names comes from `--guidance` or the preset, else from the bundle's
 * defaults; `--no-guidance` leaves the conditional prediction alone. Where that is the disrupted model itself, the flags of
 * Detail Guidance say what is disrupted in it.
 */
export function guidanceFromFlags(flags: GuidanceFlags, bundle: Bundle): GuidanceOptions {
  if (flags.guidance === false) return {};
  const own = (bundle.defaults?.guidance ?? {}) as GuidanceOptions;
  const named = typeof flags.guidance === 'object' ? flags.guidance : own;
  const defaults = flags.preset === undefined ? named : preset(flags.preset, { ...own });
  const classifierFree = given({
    ...defaults.classifierFree,
    ...given({ scale: flags.cfgScale, start: flags.cfgStart, stop: flags.cfgStop }),
  });
  const disrupted = given({
    layer: flags.detailLayer,
    channels: flags.detailChannels,
    tokens: flags.detailTokens,
    retention: flags.retention,
    start: flags.detailStart,
    stop: flags.detailStop,
  });
  const isDisrupted = defaults.disrupt !== undefined && defaults.detail === undefined;
  const detail: DetailInput = given({
    ...firstOf(defaults.detail),
    ...given({ scale: flags.detailScale }),
    ...(isDisrupted ? {} : disrupted),
  });
  if (typeof flags.guidance === 'object' && isEmpty(disrupted) && !names(flags, scales)) return flags.guidance;
  // Off is the absence of the branch, not a branch with weight 0 that costs an evaluation and appears in the plan.
  return given({
    ...defaults,
    disrupt: isDisrupted ? { ...defaults.disrupt, ...disrupted } : defaults.disrupt,
    classifierFree:
      classifierFree.scale === 1 || (isEmpty(classifierFree) && !defaults.classifierFree) ? undefined : classifierFree,
    detail: detail.scale === 0 || (isEmpty(detail) && !defaults.detail) ? undefined : detail,
  }) as GuidanceOptions;
}

const scales = ['cfgScale', 'cfgStart', 'cfgStop', 'detailScale'] as const satisfies (keyof GuidanceFlags)[];

const names = (flags: GuidanceFlags, options: readonly (keyof GuidanceFlags)[]) =>
  options.some((option) => flags[option] !== undefined);

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
