import { expect, test } from '@jest/globals';
import type { Raster } from '../../../lib/image/png';
import { rasterise } from '../../../lib/image/rasterise';
import { composeSheet, type Sheet } from '../../../lib/image/sheet';

function grey(side: number, value: number): Raster {
  return { width: side, height: side, channels: 1, pixels: new Uint8Array(side * side).fill(value) };
}

function sheetOf(images: Raster[][]): Sheet {
  return {
    title: 'Title',
    subtitle: ['One line <of> "two" & more', 'seed 1'],
    columns: images.map((_, index) => ({ title: `column ${index}`, detail: ['Dₘ(c) − ρ·λ'], group: 'GROUP' })),
    rows: [{ label: 'Row', detail: 'seed 1', images }],
    footer: ['footer'],
  };
}

/** Pixels in a rectangle that are neither paper nor picture: ink. */
function dark(picture: Raster, [left, top, right, bottom]: [number, number, number, number]): number {
  let count = 0;
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      if (picture.pixels[(y * picture.width + x) * 3]! < 128) count++;
    }
  }
  return count;
}

test('a small picture grows by a whole factor with hard edges', async () => {
  const pixels = Uint8Array.from([0, 255, 255, 0]);
  const svg = composeSheet(sheetOf([[{ width: 2, height: 2, channels: 1, pixels }]]));
  const [, x, y] = /<image x="([\d.]+)" y="([\d.]+)" width="84" height="84"/.exec(svg)!.map(Number);
  const drawn = await rasterise(svg, 1);
  const at = (column: number, row: number) => drawn.pixels[((y! + row) * drawn.width + x! + column) * 3];
  // 42 pixels for each: the neighbours of the seam are pure, nothing is blended.
  expect([at(0, 0), at(41, 41), at(42, 41), at(83, 41), at(41, 42), at(42, 42)]).toEqual([0, 0, 255, 255, 255, 0]);
});

test('the raster has the size that the SVG says, times the zoom', async () => {
  const svg = composeSheet(sheetOf([[grey(28, 0), grey(28, 0)], [grey(28, 0)]]));
  const [, width, height] = /width="(\d+)" height="(\d+)"/.exec(svg)!.map(Number);
  for (const zoom of [1, 2]) {
    const drawn = await rasterise(svg, zoom);
    expect([drawn.width, drawn.height, drawn.channels]).toEqual([width! * zoom, height! * zoom, 3]);
    expect(drawn.pixels.length).toBe(width! * zoom * height! * zoom * 3);
  }
});

test('text is drawn: title, labels, headers and footer leave ink, and the margins stay white', async () => {
  const filled = await rasterise(composeSheet(sheetOf([[grey(28, 255)]])), 1);
  const { width, height } = filled;
  expect(dark(filled, [44, 40, 200, 70])).toBeGreaterThan(200);
  expect(dark(filled, [44, 190, 166, height - 60])).toBeGreaterThan(50);
  expect(dark(filled, [166, 120, width - 44, 190])).toBeGreaterThan(200);
  expect(dark(filled, [0, 0, 43, height]) + dark(filled, [0, 0, width, 30])).toBe(0);
});

test('every sign the demo uses has a glyph of its own', async () => {
  const draw = async (sign: string): Promise<string> => {
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40" font-family="DejaVu Sans"><text x="4" y="30" font-size="24">${sign}</text></svg>`;
    return Buffer.from((await rasterise(svg, 1)).pixels).toString('base64');
  };
  const nothing = await draw('');
  const missing = await draw('\u{f0000}');
  const drawings = new Set<string>();
  for (const sign of 'ₘ−ρλ∅×·–ₜ…→') {
    const drawing = await draw(sign);
    expect([sign, drawing === nothing, drawing === missing]).toEqual([sign, false, false]);
    drawings.add(drawing);
  }
  expect(drawings.size).toBe(11);
});

test('large pictures shrink to fit, without a change of proportions', () => {
  const svg = composeSheet(
    sheetOf([[{ width: 512, height: 256, channels: 3, pixels: new Uint8Array(512 * 256 * 3) }]]),
  );
  expect(svg).toMatch(/width="192" height="96" image-rendering="optimizeQuality"/);
});

test('the same sheet gives the same pixels', async () => {
  const svg = composeSheet(sheetOf([[grey(28, 7)]]));
  expect(composeSheet(sheetOf([[grey(28, 7)]]))).toBe(svg);
  expect(await rasterise(svg, 1)).toEqual(await rasterise(svg, 1));
});

test('text cannot break out of the SVG', async () => {
  const sheet = sheetOf([[grey(28, 7)]]);
  sheet.title = '</text><rect width="9999" height="9999"/>\u0000\u0008';
  const svg = composeSheet(sheet);
  expect(svg).toContain('&lt;/text&gt;&lt;rect width=&quot;9999&quot;');
  await expect(rasterise(svg, 1)).resolves.toBeDefined();
});
