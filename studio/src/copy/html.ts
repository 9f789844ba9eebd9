/** A comparison as one HTML file that loads nothing. */
import type { ImageRequest } from '../api/types';

import { literal } from './code';

export interface ExportedPicture {
  title: string;
  /** The PNG, null for one that is not made. */
  png: Uint8Array | null;
  request: ImageRequest;
  width: number;
  height: number;
}

const escape = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

function base64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

const style = `:root { color-scheme: light dark; } body { font: 15px/1.5 system-ui, sans-serif; margin: 32px; }
.sheet { display: grid; gap: 14px; grid-template-columns: repeat(var(--columns), minmax(90px, 320px)); overflow-x: auto; }
figure { margin: 0; } img { display: block; width: 100%; } img.pixels { image-rendering: pixelated; }
figcaption { font-size: 13px; } details { font-size: 12px; } pre { white-space: pre-wrap; overflow-wrap: anywhere; }`;

/** Pictures row by row. Each PNG carries its plan; the options are written out beside it. */
export function exportHtml(title: string, columns: number, pictures: readonly ExportedPicture[]): Blob {
  const figures = pictures.map(({ title: caption, png, request, width }) => {
    // Pictures to start from are large, and are no options to read.
    const options = { ...request, image: undefined, maskImage: undefined };
    const picture = png
      ? `<img${width <= 128 ? ' class="pixels"' : ''} alt="${escape(caption)}" src="data:image/png;base64,${base64(png)}">`
      : '<p>not made</p>';
    return `<figure>${picture}<figcaption>${escape(caption)}<details><summary>options</summary><pre>${escape(literal(options))}</pre></details></figcaption></figure>`;
  });
  const page = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title><style>${style}</style></head>
<body><h1>${escape(title)}</h1><p>Made with detail-guidance ${escape(__VERSION__)}. Every picture is a PNG that carries its plan.</p>
<div class="sheet" style="--columns: ${columns}">
${figures.join('\n')}
</div></body></html>
`;
  return new Blob([page], { type: 'text/html' });
}
