/** SVG to pixels by resvg (WebAssembly) with the fonts of a package: the same pixels on every machine, without system fonts. */
import { readFile } from 'node:fs/promises';

import { initWasm, Resvg } from '@resvg/resvg-wasm';

import { assetPath } from '../files/asset';

import type { Raster } from './png';

let ready: Promise<Uint8Array[]> | undefined;

/**
 * Draws an SVG document whose text is in 'DejaVu Sans' (regular or bold) on an opaque background.
 *
 * @param svg the document; its width and height are in CSS pixels
 * @param zoom device pixels per CSS pixel
 * @returns RGB pixels, width and height times `zoom`
 */
export async function rasterise(svg: string, zoom: number): Promise<Raster> {
  ready ??= loadRenderer();
  const fontBuffers = await ready;
  const renderer = new Resvg(svg, {
    fitTo: { mode: 'zoom', value: zoom },
    background: 'white',
    font: { fontBuffers, defaultFontFamily: 'DejaVu Sans', sansSerifFamily: 'DejaVu Sans' },
  });
  try {
    const image = renderer.render();
    try {
      return { width: image.width, height: image.height, channels: 3, pixels: withoutAlpha(image.pixels) };
    } finally {
      image.free();
    }
  } finally {
    renderer.free();
  }
}

/** resvg's module is initialised once a process; the fonts are read once with it. */
async function loadRenderer(): Promise<Uint8Array[]> {
  const [wasm, ...fonts] = await Promise.all(
    [
      '@resvg/resvg-wasm/index_bg.wasm',
      'dejavu-fonts-ttf/ttf/DejaVuSans.ttf',
      'dejavu-fonts-ttf/ttf/DejaVuSans-Bold.ttf',
    ].map((file) => readFile(assetPath(file))),
  );
  await initWasm(wasm);
  return fonts;
}

/** The background is opaque, so that the fourth channel says nothing and a third of the raw bytes can go. */
function withoutAlpha(rgba: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    rgb[to] = rgba[from]!;
    rgb[to + 1] = rgba[from + 1]!;
    rgb[to + 2] = rgba[from + 2]!;
  }
  return rgb;
}
