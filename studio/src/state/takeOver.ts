/** Settings out of a picture: of the metadata of a PNG, or of a request that the gallery keeps. */
import { fastReuse } from '../../../lib/guidance/presets';
import type { BundleInfo, PresetName } from '../api/types';
import type { DroppedMetadata } from '../png/metadata';

import { bundles } from './bundles';
import { initialSettings, settings, type Settings } from './settings';
import { clipped, entriesOf, firstOf, soundSettings, type Unknowns } from './sound';
import { addView } from './views';

/** Takes the settings of a request, of whose making nothing is known; gives sentences about what could not be taken. */
export function takeRequest(from: Unknowns, of: BundleInfo): string[] {
  const remarks: string[] = [];
  const guidance = entriesOf(from['guidance']);
  const detail = guidance['detail'] ?? guidance['disrupt'];
  if (Array.isArray(detail) && detail.length > 1)
    remarks.push('It has several degraded branches; the page shows the first.');
  const { cfg, detail: detailBefore } = settings.value;
  // What it does not guide by stays as it is.
  const otherwise: Settings = {
    ...initialSettings,
    ...(guidance['classifierFree'] ? {} : { cfg }),
    ...(detail ? {} : { detail: detailBefore }),
  };
  const { settings: taken, left } = soundSettings(given(from, guidance, entriesOf(firstOf(detail)), of), otherwise);
  if (left.length > 0) remarks.push(`Not taken, since this page has no such value: ${left.join(', ')}.`);
  settings.value = { ...taken, bundle: of.id };
  addView(viewOf(guidance));
  return remarks;
}

/** By the names that the page has for them. */
function given(from: Unknowns, guidance: Unknowns, detail: Unknowns, of: BundleInfo): Unknowns {
  const { kind } = entriesOf(from['scheduler']);
  const { classLabel, prompt, negativePrompt, width, height, numFrames, seed, numInferenceSteps, strength } = from;
  return {
    classLabel: classIndexOf(firstOf(classLabel), of),
    prompt: firstOf(prompt),
    negativePrompt: firstOf(negativePrompt),
    width,
    height,
    numFrames,
    seed: firstOf(seed),
    steps: numInferenceSteps,
    sampler: kind === of.scheduler.kind ? null : kind,
    embedded: entriesOf(guidance['embedded'])['scale'],
    strength,
    cfg: guidance['classifierFree'],
    detail: { ...detail, layer: firstOf(detail['layer']), tokens: maskOf(detail['tokens'], of) },
  };
}

/**
 * The settings of a dropped PNG.
 *
 * @returns sentences about what is not as it was; null in the first place when nothing could be taken
 */
export function takeMetadata({ bundle, transformer, version, options, conditioning }: DroppedMetadata): string[] {
  const of = bundles.value.find(({ name }) => name === bundle) ?? null;
  if (!of) {
    return [
      `It was made with the bundle ${clipped(bundle)}, which this server does not offer; the settings are left as they are. Start the studio with that bundle to have them.`,
    ];
  }
  const remarks = takeRequest(options, of);
  if (version !== __VERSION__)
    remarks.push(`It was made by version ${clipped(version)}; this is ${__VERSION__}, and the bytes may differ.`);
  if (transformer !== null && transformer !== of.transformer)
    remarks.push(`It was made by other weights than those of ${of.id}: the picture will be another one.`);
  if (Object.hasOwn(conditioning, 'image'))
    remarks.push('It was started from another picture, which it does not contain: choose that picture again.');
  if (options['latents']) remarks.push('It was made from latents of its own, not from its seed alone.');
  return remarks.length > 0 ? remarks : [`Its settings are here: seed ${settings.value.seed}.`];
}

function classIndexOf(label: unknown, { classes }: BundleInfo): unknown {
  if (typeof label !== 'string') return label;
  return Array.isArray(classes) && classes.includes(label) ? classes.indexOf(label) : label;
}

/** A mask in rows, or indices of tokens; of other things the caller makes nothing. */
function maskOf(tokens: unknown, of: BundleInfo): unknown {
  if (!Array.isArray(tokens)) return tokens;
  const [first] = tokens as unknown[];
  if (Array.isArray(first)) {
    const cells = (tokens as unknown[]).flat().map((cell) => Number(cell) >= 0.5);
    return { rows: tokens.length, columns: first.length, cells };
  }
  const [rows, columns] = of.tokenGrid;
  const chosen = new Set<unknown>(tokens);
  return { rows, columns, cells: Array.from({ length: rows * columns }, (_, token) => chosen.has(token)) };
}

/** The preset that has the techniques of some guidance. */
export function viewOf(guidance: Unknowns): PresetName {
  const { classifierFree, detail, disrupt } = guidance;
  if (disrupt) return 'disrupted';
  const withCfg = (name: 'slg' | 'pag' | 'seg' | 'tpg' | 'blur') => (classifierFree ? (`${name}+cfg` as const) : name);
  if (guidance['slg']) return withCfg('slg');
  if (guidance['pag']) return withCfg('pag');
  if (guidance['seg']) return withCfg('seg');
  if (guidance['tpg']) return withCfg('tpg');
  if (guidance['blur']) return withCfg('blur');
  if (guidance['s2']) return 's2+cfg';
  if (guidance['apg']) return 'apg';
  if (guidance['cfgZeroStar']) return 'cfg-zero*';
  if (guidance['rescale']) return 'cfg+rescale';
  if (detail && classifierFree)
    return entriesOf(firstOf(detail))['reuse'] === fastReuse ? 'detail+cfg-fast' : 'detail+cfg';
  if (detail) return 'detail';
  return classifierFree ? 'cfg' : 'conditional';
}
