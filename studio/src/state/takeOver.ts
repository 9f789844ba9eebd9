/** Settings out of a picture: of the metadata of a PNG, or of a request that the gallery keeps. */
import { fastReuse } from '../../../lib/guidance/presets';
import type { BundleInfo, ImageRequest, PresetName } from '../api/types';
import type { DroppedMetadata } from '../png/metadata';

import { bundles } from './bundles';
import { lostOf } from './lost';
import { say } from './messages';
import { planFor } from './plans';
import { requestOf } from './request';
import { initialSettings, settings, type Settings } from './settings';
import { clipped, entriesOf, firstOf, soundSettings, type Unknowns } from './sound';
import { addView } from './views';

type Grid = readonly [rows: number, columns: number];

/**
 * Takes the settings of a request, of whose making nothing is known; gives sentences about what could not be taken.
 *
 * @param grid of the image tokens that it counts
 */
function takeRequest(from: Unknowns, of: BundleInfo, grid: Grid = of.tokenGrid): string[] {
  const remarks: string[] = [];
  const guidance = entriesOf(from['guidance']);
  const detail = guidance['detail'] ?? guidance['disrupt'];
  if (Array.isArray(detail) && detail.length > 1)
    remarks.push('It has several degraded branches; the page shows the first.');
  const { cfg, detail: detailBefore, image, repaint } = settings.value;
  // What it does not guide by stays as it is.
  const otherwise: Settings = {
    ...initialSettings,
    ...(guidance['classifierFree'] ? {} : { cfg }),
    ...(detail ? {} : { detail: detailBefore }),
    // Of a picture that it was started from, the request of a picture that is kept says how strong it was alone.
    ...(from['strength'] === undefined ? {} : { image, repaint }),
  };
  if (from['strength'] !== undefined && from['image'] === undefined)
    remarks.push(
      image === null
        ? 'It was started from another picture, which it does not contain: choose that picture again.'
        : 'It was started from another picture, which it does not contain: the one that is chosen here stays.',
    );
  const { settings: taken, left } = soundSettings(
    given(from, guidance, entriesOf(firstOf(detail)), of, grid),
    otherwise,
  );
  if (left.length > 0) remarks.push(`Not taken, since this page has no such value: ${left.join(', ')}.`);
  settings.value = { ...taken, bundle: of.id };
  addView(viewOf(guidance));
  return remarks;
}

/** By the names that the page has for them. */
function given(from: Unknowns, guidance: Unknowns, detail: Unknowns, of: BundleInfo, grid: Grid): Unknowns {
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
    detail: { ...detail, layer: firstOf(detail['layer']), tokens: maskOf(detail['tokens'], grid) },
  };
}

/** The settings of a picture that is kept or shown go to the first page. */
export function takeToMake(bundle: string, request: ImageRequest): void {
  const of = bundles.value.find(({ id }) => id === bundle);
  if (!of) return say(`This picture was made with the bundle ${clipped(bundle)}, which this server does not offer.`);
  for (const remark of takeRequest({ ...request }, of)) say(remark);
  location.hash = 'make';
}

/** Options of a PNG that the page's request for it says otherwise, as the server plans it; none where it cannot. */
async function lostBy(options: Unknowns, of: BundleInfo): Promise<string[]> {
  const view = viewOf(entriesOf(options['guidance']));
  const planned = await planFor(requestOf(settings.value, view, of)).catch(() => null);
  if (!planned) return [];
  const { guidance, scheduler } = planned.plan;
  const picture = { ...entriesOf(options['guidance']), sampler: entriesOf(options['scheduler']) };
  const lost = lostOf(picture, { ...guidance, sampler: scheduler });
  return options['maxSequenceLength'] === undefined ? lost : [...lost, 'maxSequenceLength'];
}

/**
 * The settings of a dropped PNG.
 *
 * @returns sentences about what is not as it was
 */
export async function takeMetadata(metadata: DroppedMetadata): Promise<string[]> {
  const { bundle, transformer, version, options, conditioning, tokenGrid } = metadata;
  const of = bundles.value.find(({ name }) => name === bundle) ?? null;
  if (!of) {
    return [
      `It was made with the bundle ${clipped(bundle)}, which this server does not offer; the settings are left as they are. Start the studio with that bundle to have them.`,
    ];
  }
  const remarks = takeRequest(options, of, tokenGrid ?? of.tokenGrid);
  const { seed } = settings.value;
  if (version !== __VERSION__)
    remarks.push(`It was made by version ${clipped(version)}; this is ${__VERSION__}, and the bytes may differ.`);
  if (transformer !== null && transformer !== of.transformer)
    remarks.push(`It was made by other weights than those of ${of.id}: the picture will be another one.`);
  if (Object.hasOwn(conditioning, 'image') && options['strength'] === undefined)
    remarks.push('It was started from another picture, which it does not contain: choose that picture again.');
  if (options['latents']) remarks.push('It was made from latents of its own, not from its seed alone.');
  const lost = await lostBy(options, of);
  if (lost.length > 0) remarks.push(`Not all of it can be set here: ${lost.join(', ')}.`);
  return remarks.length > 0 ? remarks : [`Its settings are here: seed ${seed}.`];
}

function classIndexOf(label: unknown, { classes }: BundleInfo): unknown {
  if (typeof label !== 'string') return label;
  return Array.isArray(classes) && classes.includes(label) ? classes.indexOf(label) : label;
}

/** A mask in rows, or indices of tokens; of other things the caller makes nothing. */
function maskOf(tokens: unknown, [rows, columns]: Grid): unknown {
  if (!Array.isArray(tokens)) return tokens;
  const [first] = tokens as unknown[];
  if (Array.isArray(first)) {
    const cells = (tokens as unknown[]).flat().map((cell) => Number(cell) >= 0.5);
    return { rows: tokens.length, columns: first.length, cells };
  }
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
