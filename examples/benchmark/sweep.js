// Sweeps scale and layer of Detail Guidance: node sweep.js [BUNDLE] writes sweep.csv, sweep.png and sheet.png.
import { writeFile } from 'node:fs/promises';
import { encodePng, loadPipeline } from 'detail-guidance';
import { drawLineChart, drawSheet } from 'detail-guidance/evaluation';

const scales = [0, 0.25, 0.5, 1];
const layers = [1, 4, 7];
// Mean difference of neighbouring pixels: texture raises it.
const texture = (pixels) => pixels.reduce((sum, p, i) => sum + Math.abs(p - (pixels[i - 1] ?? p)), 0) / pixels.length;

const pipeline = await loadPipeline(process.argv[2] ?? 'embedded');
const table = [];
const rows = [];
for (const layer of layers) {
  rows.push({ label: `layer ${layer}`, images: [] });
  for (const scale of scales) {
    const guidance = { classifierFree: { scale: 2 }, detail: { scale, layer } };
    const { images } = await pipeline.generate({ classLabel: 'Pullover', seed: 7, guidance });
    table.push({ layer, x: scale, y: texture(images[0].pixels) });
    rows.at(-1).images.push(images);
  }
}
await pipeline.dispose();
const columns = scales.map((scale) => ({ title: `w = ${scale}`, detail: [] }));
const sheet = await drawSheet({ title: 'Scale and layer', subtitle: [], columns, rows, footer: [] });
const lines = layers.map((of) => ({ name: `layer ${of}`, points: table.filter(({ layer }) => layer === of) }));
const chart = await drawLineChart({ title: 'Texture', x: 'detail scale w', y: 'mean difference', lines });
await writeFile('sweep.csv', ['layer,scale,texture', ...table.map(({ layer, x, y }) => [layer, x, y])].join('\n'));
for (const [file, raster] of Object.entries({ 'sweep.png': chart, 'sheet.png': sheet }))
  await writeFile(file, encodePng(raster));
