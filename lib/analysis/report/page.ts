/** The page itself: one HTML file that loads nothing, light or dark as the reader's system is. */
import { escapeUTF8 } from 'entities';

import { encodePng, type Raster } from '../../image/png';
import type { Pipeline } from '../../pipeline';
import { version } from '../../files/version';
import { drawMap } from '../spatialMap';

import type { Findings } from './gather';
import type { Figure } from './plots';

const style = `
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --soft: #77808b; --rule: #dfe3e8; --panel: #f6f7f9;
  --first: #2667b0; --second: #c2570c; --third: #2e7d50; --fourth: #9aa3ad; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e5e8ec; --soft: #8d97a3; --rule: #2c3239;
  --panel: #1b1f25; --first: #6ca8e8; --second: #f0955a; --third: #6cc08d; --fourth: #5d6772; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.55 system-ui, 'Segoe UI', sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 40px 40px 64px; }
h1 { font-size: 27px; line-height: 1.25; margin: 0 0 4px; }
h2 { font-size: 19px; margin: 48px 0 2px; padding-top: 20px; border-top: 1px solid var(--rule); }
p { margin: 6px 0; }
.lead, figcaption, .facts dt, th, .remark { color: var(--soft); }
figcaption { font-size: 13.5px; max-width: 86ch; }
figure { margin: 8px 0 0; }
figure svg { display: block; width: 100%; height: auto; margin-top: 12px; overflow: visible; color: var(--ink); }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: 3px 20px; margin: 22px 0 0; padding: 16px 20px;
  background: var(--panel); border-radius: 8px; }
.facts dd { margin: 0; }
.legend { display: flex; gap: 20px; font-size: 13px; margin: 12px 0 0; }
.legend i { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 6px; }
.scroll { overflow-x: auto; margin-top: 14px; }
table { border-collapse: collapse; font-size: 13px; }
th { font-weight: 500; text-align: left; padding: 0 10px 8px 0; vertical-align: bottom; line-height: 1.35; }
th { max-width: 150px; }
th b { display: block; color: var(--ink); }
td { padding: 0 10px 10px 0; vertical-align: top; }
td.label { padding-right: 14px; vertical-align: middle; font-weight: 600; }
td.label span { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 4; overflow: hidden; width: max-content;
  max-width: 100px; line-height: 1.35; overflow-wrap: anywhere; }
td img { display: block; border-radius: 3px; image-rendering: pixelated; }
td small { color: var(--soft); }
a { color: var(--first); }
footer { margin-top: 48px; padding-top: 16px; border-top: 1px solid var(--rule); font-size: 13px; color: var(--soft); }
`;

/** The page's text. Figures stand in the order in which they are given. */
export function composePage(pipeline: Pipeline, findings: Findings, figures: readonly Figure[]): string {
  const { bundle } = pipeline;
  const { massive } = findings;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Massive activations of ${escapeUTF8(bundle.name)}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<main>
<h1>Massive activations of ${escapeUTF8(bundle.name)}</h1>
<p class="lead">${escapeUTF8(verdict(findings))}</p>
${facts([
  [
    'Model',
    `${bundle.family}, ${pipeline.size.blocks} blocks, ${bundle.transformer.hiddenChannels} channels, ${bundle.transformer.tokenGrid.join(' × ')} tokens`,
  ],
  [
    'Looked at',
    `stream ${massive.stream}, branch conditional, ${massive.timesteps.length} timesteps, ${massive.conditions.length} conditions, seeds ${massive.seeds[0]} to ${massive.seeds.at(-1)}`,
  ],
  ['Rule', massive.rule],
  ['Stability', stability(findings)],
  ...(massive.suggested
    ? [['Suggested layer', `${massive.suggested.layer}: ${massive.suggested.reason}`] as const]
    : []),
])}
${massive.remarks.map((remark) => `<p class="remark">${escapeUTF8(remark)}</p>`).join('\n')}
${figures.map(section).join('\n')}
${findings.gatesMissing ? `<section><h2>Residual gates</h2><p class="remark">${escapeUTF8(findings.gatesMissing)}</p></section>` : ''}
${maps(findings)}
${interventions(findings)}
<footer>detail-guidance ${version()}, ${escapeUTF8(pipeline.device)}, ${escapeUTF8(pipeline.dtype)}; transformer sha256 ${bundle.files[bundle.transformer.file]!.sha256.slice(0, 12)}. The numbers behind every figure are in <code>data/</code> beside this page.</footer>
</main>
</body>
</html>
`;
}

function verdict({ massive, looked }: Findings): string {
  if (!massive.found) return massive.remarks[0] ?? 'No massive activations were found.';
  const layers = massive.layers.filter(({ channels }) => channels.length > 0).length;
  return `Found in ${layers} of ${massive.layers.length} layers. This page looks at layer ${looked!.layer}, channels ${looked!.channels.join(', ')}.`;
}

function stability({ massive, looked }: Findings): string {
  const last = massive.agreement.slice(-4).map((value) => value.toFixed(2));
  const layer = massive.layers.find((entry) => entry.layer === looked?.layer);
  const within = layer
    ? `; in layer ${layer.layer} the Jaccard index is ${layer.stability.acrossConditions.toFixed(2)} across conditions, ${layer.stability.acrossSeeds.toFixed(2)} across seeds`
    : '';
  return `${massive.stable ? 'settled' : 'did not settle'}: agreement of successive windows ${last.join(', ') || 'unknown'}${within}`;
}

function facts(entries: readonly (readonly [string, string])[]): string {
  return `<dl class="facts">${entries.map(([name, value]) => `<dt>${escapeUTF8(name)}</dt><dd>${escapeUTF8(value)}</dd>`).join('')}</dl>`;
}

function section({ name, title, caption, svg }: Figure): string {
  return `<section id="${name}"><h2>${escapeUTF8(title)}</h2><figure><figcaption>${escapeUTF8(caption)} <a href="data/${name}.json">Data</a></figcaption>${svg}</figure></section>`;
}

function maps({ maps: rows, looked }: Findings): string {
  if (!looked || rows.length === 0) return '';
  const columns = rows[0]!.maps;
  const head = columns.map(
    ({ channel, timestep }) => `<th><b>z[${channel}]</b>t = ${Number(timestep.toPrecision(3))}</th>`,
  );
  const body = rows.map(({ conditions, picture, maps }) => {
    const cells = maps.map(({ map, selectivity }) => {
      const zoom = Math.max(1, Math.floor(76 / Math.max(map.width, map.height)));
      return `<td>${image(drawMap(map, { colours: 'blue-red', zoom }), 76)}<small>${selectivity.toFixed(2)}</small></td>`;
    });
    return `<tr>${label(conditions)}<td>${image(picture, 76)}</td>${cells.join('')}</tr>`;
  });
  return `<section id="spatial-maps"><h2>Spatial maps, layer ${looked.layer}</h2>
<figure><figcaption>Each channel’s values at the image tokens: red positive, blue negative, each map on its own scale. The number is the selectivity, the median of |z| over outlier tokens over that of the others: 1 where no token stands out. <a href="data/spatial-maps.json">Data</a></figcaption>
<div class="scroll"><table><thead><tr><th></th><th><b>picture</b>&nbsp;</th>${head.join('')}</tr></thead><tbody>${body.join('\n')}</tbody></table></div></figure></section>`;
}

function interventions({ interventions: table, looked }: Findings): string {
  if (!table) return '';
  const head = table.columns.map(({ name, detail }) => `<th><b>${escapeUTF8(name)}</b>${escapeUTF8(detail)}</th>`);
  const body = table.conditions.map((conditions, row) => {
    const cells = table.columns.map(({ pictures }) => `<td>${image(pictures[row]!, 140)}</td>`);
    return `<tr>${label(conditions)}${cells.join('')}</tr>`;
  });
  return `<section id="interventions"><h2>Interventions after layer ${looked!.layer}</h2>
<figure><figcaption>A row has one noise (seed ${table.seed}) and the conditional branch alone, at every step; only what is done to the hidden state differs. <a href="data/interventions.json">Data</a></figcaption>
<div class="scroll"><table><thead><tr><th></th>${head.join('')}</tr></thead><tbody>${body.join('\n')}</tbody></table></div></figure></section>`;
}

/** A prompt may be long: its first lines beside the pictures, the whole where the pointer rests. */
function label(conditions: string): string {
  return `<td class="label"><span title="${escapeUTF8(conditions)}">${escapeUTF8(conditions)}</span></td>`;
}

function image(raster: Raster, side: number): string {
  const png = Buffer.from(encodePng({ ...pick(raster) })).toString('base64');
  const scale = side / Math.max(raster.width, raster.height);
  return `<img alt="" width="${Math.round(raster.width * scale)}" height="${Math.round(raster.height * scale)}" src="data:image/png;base64,${png}">`;
}

function pick({ width, height, channels, pixels }: Raster): Raster {
  return { width, height, channels, pixels };
}
