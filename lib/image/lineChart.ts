/** A line chart as SVG, drawn by Observable Plot in a document of linkedom: no browser, nothing to load. */
import type { PlotOptions } from '@observablehq/plot';

import { checkObject } from '../validation/invalid';

import type { Raster } from './png';
import { rasterise } from './rasterise';
import { svgText } from './svgText';

/** A point of a line, in the units of the axes. */
export interface ChartPoint {
  /** Along the horizontal axis. */
  x: number;
  /** Along the vertical axis. */
  y: number;
}

/** One line. */
export interface ChartLine {
  /** Written at its end. */
  name: string;
  /** In order. */
  points: ChartPoint[];
}

/** Lines over a common axis. */
export interface LineChart {
  /** Above the chart. Default: none. */
  title?: string;
  /** What the horizontal axis is, with its unit. */
  x: string;
  /** What the vertical axis is, with its unit. */
  y: string;
  /** At most 8 have a colour of their own. */
  lines: ChartLine[];
  /** CSS pixels; the raster has twice as many each way. Default 720. */
  width?: number;
  /** CSS pixels. Default 420. */
  height?: number;
}

/** The first colours of Okabe and Ito, which people with impaired colour vision tell apart too. */
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#000000', '#8a929c'];
const titleHeight = 34;
const marginTop = 30;
const marginBottom = 44;
/** Of a label, in CSS pixels. */
const lineHeight = 16;
const letterWidth = 7.6;

/** The chart's pixels, on white. */
export async function drawLineChart(chart: LineChart): Promise<Raster> {
  checkObject(chart, 'chart', 'a chart { x, y, lines, … }');
  return rasterise(await composeLineChart(chart), 2);
}

/** The chart's SVG text, in CSS pixels. */
export async function composeLineChart({ title, x, y, lines, width = 720, height = 420 }: LineChart): Promise<string> {
  // Both are ES modules alone: loaded when they are needed, so that the CommonJS build has them too.
  const [{ dot, line, plot, text }, { parseHTML }] = await Promise.all([
    import('@observablehq/plot'),
    import('linkedom'),
  ]);
  const points = lines.flatMap(({ name, points }, index) =>
    points.map((point) => ({ ...point, name, colour: colours[index % colours.length]! })),
  );
  const ends = lines.flatMap(({ name }) => points.filter((point) => point.name === name).slice(-1));
  const innerHeight = height - (title === undefined ? 0 : titleHeight) - marginTop - marginBottom;
  const domain = extent(points.map((point) => point.y));
  const labels = apart(ends, (lineHeight * (domain[1] - domain[0])) / innerHeight);
  const colourOf = (point: { colour: string }) => point.colour;
  const svg = plot({
    document: parseHTML('<!doctype html><html><body></body></html>').document,
    width,
    height: height - (title === undefined ? 0 : titleHeight),
    marginLeft: 60,
    marginRight: 28 + letterWidth * Math.max(9, ...lines.map(({ name }) => name.length)),
    marginTop,
    marginBottom,
    style: { background: 'none', color: '#16191d', fontSize: '13px', fontFamily: 'DejaVu Sans' },
    x: { label: x },
    y: { label: y, grid: true, domain },
    marks: [
      line(points, { x: 'x', y: 'y', z: 'name', stroke: colourOf, strokeWidth: 2 }),
      dot(points, { x: 'x', y: 'y', fill: colourOf, r: 3.5 }),
      text(labels, { x: 'x', y: 'y', text: 'name', fill: colourOf, dx: 10, textAnchor: 'start' }),
    ],
  } as PlotOptions) as unknown as { innerHTML: string };
  const heading =
    title === undefined ? '' : `<text x="16" y="24" font-size="16" font-weight="bold">${svgText(title)}</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${width}" height="${height}" font-family="DejaVu Sans" font-size="13" color="#16191d" fill="#16191d">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    heading,
    `<g text-anchor="middle" transform="translate(0, ${title === undefined ? 0 : titleHeight})">${svg.innerHTML}</g>`,
    '</svg>',
  ].join('\n');
}

function extent(values: number[]): [number, number] {
  const [least, largest] = [
    values.reduce((low, value) => Math.min(low, value), Infinity),
    values.reduce((high, value) => Math.max(high, value), -Infinity),
  ];
  return least < largest ? [least, largest] : [least - 0.5, largest + 0.5];
}

/** Moved up until none is nearer to the one below it than `distance`. */
function apart<Label extends { y: number }>(labels: readonly Label[], distance: number): Label[] {
  let floor = -Infinity;
  return [...labels]
    .sort((a, b) => a.y - b.y)
    .map((label) => {
      const y = Math.max(label.y, floor);
      floor = y + distance;
      return { ...label, y };
    });
}
