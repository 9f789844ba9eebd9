/** The demo's five columns: the same model and noise under five guidances, with what the sheet prints about each. */
import type { Bundle } from '../bundle';
import { invalid } from '../validation/invalid';
import type { GuidanceOptions } from '../guidance';
import type { SheetColumn } from '../image/sheet';

import type { DetailInput } from './guidance';

export interface Variant extends SheetColumn {
  guidance: GuidanceOptions;
}

const without = 'WITHOUT CLASSIFIER-FREE GUIDANCE';
/** Options of Detail Guidance that say nothing about the disruption. */
const guidanceOnly = ['scale', 'start', 'stop'];
const withCfg = 'WITH CLASSIFIER-FREE GUIDANCE';

/**
 * @param guidance scales, layer and channels of the columns that use them
 * @throws BAD_OPTION when neither the flags nor the bundle say what to disrupt or how strongly to guide
 */
export function demoVariants(guidance: GuidanceOptions, bundle: Bundle): Variant[] {
  const { classifierFree, detail } = guidance;
  if (!classifierFree || !detail) {
    const missing = classifierFree ? 'Detail Guidance (--detail-scale)' : 'classifier-free guidance (--cfg-scale)';
    throw invalid('The guidance of the demo', `a scale for ${missing}`, undefined);
  }
  if (Array.isArray(detail)) throw new TypeError('Flags describe one degraded branch.');
  const disrupt = Object.fromEntries(Object.entries(detail).filter(([option]) => !guidanceOnly.includes(option)));
  const s = `s = ${String(classifierFree.scale)}`;
  const w = `w = ${String(detail.scale)}`;
  return [
    { group: without, title: 'conditional', detail: ['D(c)'], guidance: {} },
    {
      group: without,
      title: 'MA-disrupted',
      detail: ['Dₘ(c)', describeDisruption(detail, bundle)],
      guidance: { disrupt },
    },
    {
      group: without,
      title: 'Detail Guidance',
      detail: ['D(c) + w (D(c) − Dₘ(c))', w + describeWindow(detail)],
      guidance: { detail },
    },
    {
      group: withCfg,
      title: 'CFG',
      detail: ['D(c) + (s − 1) (D(c) − D(∅))', s + describeWindow(classifierFree)],
      guidance: { classifierFree },
    },
    {
      group: withCfg,
      title: 'CFG + DG',
      detail: ['both differences added to D(c)', `${s}, ${w}`],
      guidance: { classifierFree, detail },
    },
  ];
}

function describeDisruption({ layer, channels, retention }: DetailInput, { massiveActivations }: Bundle): string {
  const chosen = Array.isArray(channels) ? channels : (massiveActivations?.channels ?? []);
  const where = layer === undefined || layer === 'auto' ? massiveActivations?.layer : [layer].flat().join(', ');
  const shown = chosen.slice(0, 4).join(', ') + (chosen.length > 4 ? ', …' : '');
  const factor = typeof retention === 'object' ? 'ρₜ' : String(retention ?? 0);
  return `layer ${where}: z[${shown}] × ${factor}`;
}

function describeWindow({ start = 0, stop = 1 }: { start?: number; stop?: number }): string {
  return start === 0 && stop === 1 ? '' : `, steps ${percent(start)}–${percent(stop)} %`;
}

function percent(fraction: number): string {
  return String(Math.round(fraction * 100));
}
