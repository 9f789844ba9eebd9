/** Options that two settings can differ in, and that a sweep can go over. */
import { bundle } from '../state/bundles';
import { stepsOf } from '../state/inside';
import { completed, settings, type Settings } from '../state/settings';

export interface SweptOption {
  name: string;
  label: string;
  /** Of the docstring. */
  doc: string;
  /** The settings with the option changed. */
  apply: (to: Settings, value: number) => Settings;
  /** What a sweep starts with. */
  suggested: () => number[];
  /** How a value is called, where a number says too little. */
  nameOf?: (value: number) => string;
  whole?: boolean;
}

const cfgWith = (to: Settings, part: Partial<Settings['cfg']>): Settings =>
  completed({ ...to, cfg: { ...to.cfg, ...part } });
const detailWith = (to: Settings, part: Partial<Settings['detail']>): Settings =>
  completed({ ...to, detail: { ...to.detail, ...part } });

/** The first, the last and some between. */
function spread(count: number, most: number): number[] {
  const shown = Math.min(count, most);
  return Array.from({ length: shown }, (_, at) => Math.round((at * (count - 1)) / Math.max(1, shown - 1)));
}

export const sweptOptions: readonly SweptOption[] = [
  {
    name: 'detail.scale',
    label: 'Detail scale w',
    doc: 'DetailOptions.scale',
    apply: (to, scale) => detailWith(to, { scale }),
    suggested: () => [0, 0.15, 0.3, 0.6, 1],
  },
  {
    name: 'detail.layer',
    label: 'Layer',
    doc: 'DisruptionOptions.layer',
    apply: (to, layer) => detailWith(to, { layer }),
    suggested: () => spread(bundle.value?.layers ?? 1, 8),
    whole: true,
  },
  {
    name: 'cfg.scale',
    label: 'CFG scale s',
    doc: 'ClassifierFreeOptions.scale',
    apply: (to, scale) => cfgWith(to, { scale }),
    suggested: () => [1, 2, 3, 4, 6],
  },
  {
    name: 'embedded',
    label: 'Embedded guidance',
    doc: 'EmbeddedOptions.scale',
    apply: (to, embedded) => ({ ...to, embedded }),
    suggested: () => [1, 2, 3.5, 5, 7],
  },
  {
    name: 'detail.retention',
    label: 'ρ',
    doc: 'DisruptionOptions.retention',
    apply: (to, retention) => detailWith(to, { retention }),
    suggested: () => [0, 0.25, 0.5, 0.75],
  },
  {
    name: 'detail.start',
    label: 'Detail window: start',
    doc: 'GuidanceWindow.start',
    apply: (to, start) => detailWith(to, { start, stop: Math.max(start, to.detail.stop) }),
    suggested: () => [0, 0.2, 0.4, 0.6],
  },
  {
    name: 'detail.stop',
    label: 'Detail window: end',
    doc: 'GuidanceWindow.stop',
    apply: (to, stop) => detailWith(to, { stop, start: Math.min(stop, to.detail.start) }),
    suggested: () => [0.25, 0.5, 0.75, 1],
  },
  {
    name: 'cfg.start',
    label: 'CFG window: start',
    doc: 'GuidanceWindow.start',
    apply: (to, start) => cfgWith(to, { start, stop: Math.max(start, to.cfg.stop) }),
    suggested: () => [0, 0.2, 0.4, 0.6],
  },
  {
    name: 'cfg.stop',
    label: 'CFG window: end',
    doc: 'GuidanceWindow.stop',
    apply: (to, stop) => cfgWith(to, { stop, start: Math.min(stop, to.cfg.start) }),
    suggested: () => [0.25, 0.5, 0.75, 1],
  },
  {
    name: 'steps',
    label: 'Steps',
    doc: 'GenerateOptions.numInferenceSteps',
    apply: (to, steps) => ({ ...to, steps }),
    suggested: () => {
      const steps = bundle.value ? stepsOf(settings.value, bundle.value) : 20;
      return [0.25, 0.5, 1, 1.5].map((share) => Math.max(1, Math.round(steps * share)));
    },
    whole: true,
  },
  {
    name: 'seed',
    label: 'Seed',
    doc: 'GenerateOptions.seed',
    apply: (to, seed) => ({ ...to, seed }),
    suggested: () => [0, 1, 2, 3, 4].map((after) => settings.value.seed + after),
    whole: true,
  },
  {
    name: 'classLabel',
    label: 'Class',
    doc: 'GenerateOptions.classLabel',
    apply: (to, classLabel) => ({ ...to, classLabel }),
    suggested: () => {
      const classes = bundle.value?.classes;
      return spread(Array.isArray(classes) ? classes.length : (classes ?? 1), 10);
    },
    nameOf: (value) => (Array.isArray(bundle.value?.classes) ? (bundle.value.classes[value] ?? '?') : `class ${value}`),
    whole: true,
  },
  {
    name: 'strength',
    label: 'Strength',
    doc: 'GenerateOptions.strength',
    apply: (to, strength) => ({ ...to, strength }),
    suggested: () => [0.2, 0.4, 0.6, 0.8],
  },
];

/** Those that mean something for the chosen bundle. */
export const optionsHere = (): readonly SweptOption[] =>
  sweptOptions.filter(
    ({ name }) =>
      (name !== 'classLabel' || bundle.value?.conditioning === 'class') &&
      (name !== 'strength' || settings.value.image !== null) &&
      (name !== 'embedded' || bundle.value?.embeddedGuidance) &&
      (!name.startsWith('cfg.') || bundle.value?.unconditional),
  );

/** Null for one that the bundle has no use for. */
export const optionHere = (name: string): SweptOption | null =>
  optionsHere().find((option) => option.name === name) ?? null;

export const optionNamed = (name: string): SweptOption | null =>
  sweptOptions.find((option) => option.name === name) ?? null;

/** `0, 0.2, 0.4`; null for what is no list of numbers that the option takes. */
export function parseValues(text: string, { whole }: Pick<SweptOption, 'whole'>): number[] | null {
  const values = text
    .split(/[\s,;]+/)
    .filter(Boolean)
    .map(Number);
  const isFine =
    values.length > 0 &&
    values.every((value) => (whole ? Number.isSafeInteger(value) && value >= 0 : Number.isFinite(value)));
  return isFine ? values : null;
}
