/** Guidance by name: the techniques with the defaults of their publications, and the bundle's own where it has them. */
import type { GuidanceOptions } from './options';

type Technique = keyof GuidanceOptions;

const cfg: Technique = 'classifierFree';

/**
 * Steps from one computation of the detail-deficient branch to the next in `detail+cfg-fast`. docs/guidance.md has what
 * it costs and how near the picture stays.
 */
export const fastReuse = 3;

/** The techniques of each preset; their options are defaults, but for those of `changes`. */
const presets = {
  /** The conditional prediction alone. */
  conditional: [],
  cfg: [cfg],
  /** The detail-deficient model itself. */
  disrupted: ['disrupt'],
  detail: ['detail'],
  'detail+cfg': [cfg, 'detail'],
  /** The detail-deficient branch in every third step; its difference stands for the steps between. */
  'detail+cfg-fast': [cfg, 'detail'],
  slg: ['slg'],
  'slg+cfg': [cfg, 'slg'],
  pag: ['pag'],
  'pag+cfg': [cfg, 'pag'],
  seg: ['seg'],
  'seg+cfg': [cfg, 'seg'],
  tpg: ['tpg'],
  'tpg+cfg': [cfg, 'tpg'],
  's2+cfg': [cfg, 's2'],
  blur: ['blur'],
  'blur+cfg': [cfg, 'blur'],
  apg: [cfg, 'apg'],
  'cfg-zero*': [cfg, 'cfgZeroStar'],
  'cfg+rescale': [cfg, 'rescale'],
} as const satisfies Record<PresetName, readonly Technique[]>;

/** What a preset says itself, in place of defaults. */
const changes: Partial<Record<keyof typeof presets, Partial<Record<Technique, Record<string, unknown>>>>> = {
  'detail+cfg-fast': { detail: { reuse: fastReuse } },
};

/** Names of guidance that `generate` takes in place of options; docs/guidance.md says what each is. */
export type PresetName =
  | 'conditional'
  | 'cfg'
  | 'disrupted'
  | 'detail'
  | 'detail+cfg'
  | 'detail+cfg-fast'
  | 'slg'
  | 'slg+cfg'
  | 'pag'
  | 'pag+cfg'
  | 'seg'
  | 'seg+cfg'
  | 'tpg'
  | 'tpg+cfg'
  | 's2+cfg'
  | 'blur'
  | 'blur+cfg'
  | 'apg'
  | 'cfg-zero*'
  | 'cfg+rescale';

/** All of them. */
export const presetNames = Object.keys(presets) as [PresetName, ...PresetName[]];

/** The guidance that a preset stands for. What the bundle's defaults say about a technique is taken from there. */
export function preset(name: PresetName, defaults: Readonly<Record<string, unknown>> = {}): GuidanceOptions {
  const changed = (technique: Technique, options: unknown): unknown => {
    if (Array.isArray(options)) return options.map((instance) => changed(technique, instance));
    return { ...(options as object), ...changes[name]?.[technique] };
  };
  return Object.fromEntries(
    presets[name].map((technique) => [technique, changed(technique, defaults[technique] ?? {})]),
  );
}
