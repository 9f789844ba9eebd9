/** Guidance by name: the techniques with the defaults of their publications, and the bundle's own where it has them. */
import type { GuidanceInput } from './index';

type Technique = keyof GuidanceInput;

const cfg: Technique = 'classifierFree';

/** The techniques of each preset; their options are defaults. */
const presets = {
  /** The conditional prediction alone. */
  conditional: [],
  cfg: [cfg],
  /** The detail-deficient model itself. */
  disrupted: ['disrupt'],
  detail: ['detail'],
  'detail+cfg': [cfg, 'detail'],
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
} as const satisfies Record<string, readonly Technique[]>;

export type PresetName = keyof typeof presets;

export const presetNames = Object.keys(presets) as [PresetName, ...PresetName[]];

/** The guidance that a preset stands for. What the bundle's defaults say about a technique is taken from there. */
export function preset(name: PresetName, defaults: Readonly<Record<string, unknown>> = {}): GuidanceInput {
  return Object.fromEntries(presets[name].map((technique) => [technique, defaults[technique] ?? {}]));
}
