/** Settings out of a picture: of the metadata of a PNG, or of a request that the gallery keeps. */
import type { PictureMetadata } from '../../../lib/call/metadata';
import type { BundleInfo, DetailOptions, GuidanceOptions, ImageRequest, PresetName } from '../api/types';

import { bundles } from './bundles';
import { change, completed, initialSettings, settings, type GridMask } from './settings';
import { addView } from './views';

/** What a request has, in a form that the gallery, a PNG and the page's own settings share. */
export type Remembered = Pick<
  ImageRequest,
  | 'classLabel'
  | 'prompt'
  | 'negativePrompt'
  | 'width'
  | 'height'
  | 'seed'
  | 'numInferenceSteps'
  | 'scheduler'
  | 'strength'
  | 'guidance'
>;

/** Takes the settings; gives sentences about what could not be taken. */
export function takeSettings(from: Remembered, of: BundleInfo): string[] {
  const remarks: string[] = [];
  const { classLabel, prompt, negativePrompt, width, height, seed, numInferenceSteps, scheduler, strength } = from;
  const guidance = typeof from.guidance === 'object' ? from.guidance : {};
  const first = <Option>(option: Option | Option[] | undefined) => (Array.isArray(option) ? option[0] : option);
  const detail = first<DetailOptions>(guidance.detail) ?? (guidance.disrupt as DetailOptions | undefined);
  if (Array.isArray(guidance.detail) && guidance.detail.length > 1)
    remarks.push('It has several degraded branches; the page shows the first.');
  const kind = (scheduler as { kind?: string } | undefined)?.kind;
  const { cfg: cfgBefore, detail: detailBefore } = settings.value;
  const { tokens, layer, ...others } = detail ?? {};
  change(
    completed({
      ...initialSettings,
      bundle: of.id,
      classLabel: classIndexOf(first<number | string>(classLabel), of),
      prompt: String(first<string>(prompt) ?? ''),
      negativePrompt: String(first<string>(negativePrompt) ?? ''),
      width: width ?? null,
      height: height ?? null,
      seed: Number(first(seed as number | number[] | undefined) ?? 0),
      seedLocked: true,
      steps: numInferenceSteps ?? null,
      sampler: kind === undefined || kind === of.scheduler.kind ? null : kind,
      strength: strength ?? initialSettings.strength,
      cfg: guidance.classifierFree
        ? { ...initialSettings.cfg, ...known(guidance.classifierFree, initialSettings.cfg) }
        : cfgBefore,
      detail: detail
        ? {
            ...initialSettings.detail,
            ...known(others, initialSettings.detail),
            layer: (Array.isArray(layer) ? layer[0] : layer) ?? 'auto',
            tokens: maskOf(tokens, of),
          }
        : detailBefore,
    }),
  );
  addView(viewOf(guidance));
  return remarks;
}

/**
 * The settings of a dropped PNG.
 *
 * @returns sentences about what is not as it was; null in the first place when nothing could be taken
 */
export function takeMetadata(metadata: PictureMetadata): string[] {
  const of = bundles.value.find(({ name }) => name === metadata.bundle.name) ?? null;
  if (!of) {
    return [
      `It was made with the bundle ${metadata.bundle.name}, which this server does not offer; the settings are left as they are. Start the studio with that bundle to have them.`,
    ];
  }
  const remarks = takeSettings(metadata.options as Remembered, of);
  if (metadata.version !== __VERSION__)
    remarks.push(`It was made by version ${metadata.version}; this is ${__VERSION__}, and the bytes may differ.`);
  const outside = Object.keys(metadata.conditioning ?? {});
  if (outside.includes('image'))
    remarks.push('It was started from another picture, which it does not contain: choose that picture again.');
  if (metadata.options.latents) remarks.push('It was made from latents of its own, not from its seed alone.');
  return remarks.length > 0 ? remarks : [`Its settings are here: seed ${String(metadata.seed)}.`];
}

/** Options that this page has a control for. */
function known<Shape extends object>(options: object, names: Shape): Partial<Shape> {
  return Object.fromEntries(
    Object.entries(options).filter(([name, value]) => name in names && value !== undefined),
  ) as Partial<Shape>;
}

function classIndexOf(label: number | string | undefined, { classes }: BundleInfo): number {
  if (typeof label === 'number') return label;
  return Math.max(0, Array.isArray(classes) ? classes.indexOf(label ?? '') : 0);
}

function maskOf(tokens: DetailOptions['tokens'], of: BundleInfo): GridMask | null {
  if (!Array.isArray(tokens)) return null;
  if (Array.isArray(tokens[0])) {
    const rows = tokens as (number | boolean)[][];
    return {
      rows: rows.length,
      columns: rows[0]!.length,
      cells: rows.flat().map((cell) => (Number(cell) >= 0.5 ? 1 : 0)),
    };
  }
  const [rows, columns] = of.tokenGrid;
  const cells = new Array<number>(rows * columns).fill(0);
  for (const token of tokens as number[]) cells[token] = 1;
  return { rows, columns, cells: cells.slice(0, rows * columns) };
}

/** The preset that has the techniques of some guidance. */
export function viewOf(guidance: GuidanceOptions): PresetName {
  const { classifierFree, detail, disrupt } = guidance;
  if (disrupt) return 'disrupted';
  const withCfg = (name: 'slg' | 'pag' | 'seg' | 'tpg' | 'blur') => (classifierFree ? (`${name}+cfg` as const) : name);
  if (guidance.slg) return withCfg('slg');
  if (guidance.pag) return withCfg('pag');
  if (guidance.seg) return withCfg('seg');
  if (guidance.tpg) return withCfg('tpg');
  if (guidance.blur) return withCfg('blur');
  if (guidance.s2) return 's2+cfg';
  if (guidance.apg) return 'apg';
  if (guidance.cfgZeroStar) return 'cfg-zero*';
  if (guidance.rescale) return 'cfg+rescale';
  if (detail) return classifierFree ? 'detail+cfg' : 'detail';
  return classifierFree ? 'cfg' : 'conditional';
}
