/**
 * A contact sheet: a table of pictures with a title, column headers, row labels and a footer, composed as SVG.
 * Nothing here knows about guidance; the caller says what stands where. `rasterise.ts` turns the SVG into pixels.
 */
import { encodePng, type Raster } from './png';
import { svgText } from './svgText';

/** A column of a sheet. */
export interface SheetColumn {
  /** Above it. */
  title: string;
  /** Small print under the title, one string a line. */
  detail: string[];
  /** Neighbouring columns with the same group stand together under one ruled heading. */
  group?: string;
}

/** A row of a sheet. */
export interface SheetRow {
  /** Left of it. */
  label: string;
  /** Small print under the label. */
  detail?: string;
  /** The pictures of each column, drawn side by side; all of one size. An empty list leaves the place empty. */
  images: Raster[][];
}

/** A table of pictures. */
export interface Sheet {
  /** Above the table. */
  title: string;
  /** One string a line. */
  subtitle: string[];
  /** From left to right. */
  columns: SheetColumn[];
  /** From top to bottom. */
  rows: SheetRow[];
  /** One string a line. */
  footer: string[];
}

const ink = { text: '#16191d', soft: '#5a636e', faint: '#8a929c', rule: '#d5d9de', paper: '#ffffff' };
const margin = 44;
const labelWidth = 122;
const narrowestColumn = 112;
const columnGap = 24;
const groupGap = 44;
const pictureGap = 6;
const rowGap = 12;
const detailLine = 14;
const smallestPicture = 84;
const largestPicture = 192;

/** The SVG text of a sheet, in CSS pixels; the root element carries its width and height. */
export function composeSheet(sheet: Sheet): string {
  const picture = pictureSize(sheet.rows);
  const abreast = Math.max(1, ...sheet.rows.flatMap((row) => row.images.map((images) => images.length)));
  const columnWidth = Math.max(narrowestColumn, abreast * (picture.width + pictureGap) - pictureGap);
  const columns = placeColumns(sheet.columns, columnWidth);
  const right = (columns.at(-1)?.x ?? margin + labelWidth) + columnWidth;
  const width = right + margin;
  const parts: string[] = [];

  let y = margin + 20;
  parts.push(text(margin, y, sheet.title, { size: 25, weight: 'bold' }));
  y += 25;
  for (const line of sheet.subtitle) {
    parts.push(text(margin, y, line, { size: 12.5, fill: ink.soft }));
    y += 18;
  }

  y += 18;
  const groups = groupSpans(sheet.columns, columns, columnWidth);
  if (groups.length > 0) {
    for (const group of groups) {
      parts.push(text(group.from, y, group.title, { size: 11, weight: 'bold', fill: ink.soft, spacing: 0.6 }));
      parts.push(rule(group.from, group.to, y + 8, ink.text, 1));
    }
    y += 28;
  }
  for (const [index, column] of sheet.columns.entries()) {
    parts.push(text(columns[index]!.x, y, column.title, { size: 13, weight: 'bold' }));
    for (const [line, detail] of column.detail.entries()) {
      parts.push(text(columns[index]!.x, y + 17 + line * detailLine, detail, { size: 10, fill: ink.soft }));
    }
  }
  y += 22 + Math.max(0, ...sheet.columns.map((column) => column.detail.length)) * detailLine;

  for (const row of sheet.rows) {
    const middle = y + picture.height / 2;
    parts.push(text(margin, row.detail ? middle : middle + 5, row.label, { size: 13, weight: 'bold' }));
    if (row.detail) parts.push(text(margin, middle + 17, row.detail, { size: 10, fill: ink.soft }));
    for (const [column, images] of row.images.entries()) {
      for (const [index, image] of images.entries()) {
        parts.push(drawPicture(image, columns[column]!.x + index * (picture.width + pictureGap), y, picture));
      }
    }
    y += picture.height + rowGap;
  }

  y += 16;
  parts.push(rule(margin, right, y, ink.rule, 1));
  y += 21;
  for (const line of sheet.footer) {
    parts.push(text(margin, y, line, { size: 10, fill: ink.faint }));
    y += 15;
  }
  const height = Math.round(y - 15 + margin * 0.75);

  return [
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="DejaVu Sans">`,
    `<rect width="${width}" height="${height}" fill="${ink.paper}"/>`,
    ...parts,
    '</svg>',
  ].join('\n');
}

/** Small pictures grow by a whole factor, so that every pixel of theirs stays a square; large ones shrink to fit. */
function pictureSize(rows: SheetRow[]): { width: number; height: number; crisp: boolean } {
  const first = rows.flatMap((row) => row.images.flat()).at(0);
  if (!first) return { width: smallestPicture, height: smallestPicture, crisp: true };
  const side = Math.max(first.width, first.height);
  if (side <= smallestPicture) {
    const factor = Math.ceil(smallestPicture / side);
    return { width: first.width * factor, height: first.height * factor, crisp: true };
  }
  const factor = Math.min(1, largestPicture / side);
  return { width: Math.round(first.width * factor), height: Math.round(first.height * factor), crisp: false };
}

function placeColumns(columns: SheetColumn[], columnWidth: number): { x: number }[] {
  let x = margin + labelWidth;
  return columns.map((column, index) => {
    if (index > 0) x += columnWidth + (column.group === columns[index - 1]!.group ? columnGap : groupGap);
    return { x };
  });
}

function groupSpans(columns: SheetColumn[], places: { x: number }[], columnWidth: number) {
  const spans: { title: string; from: number; to: number }[] = [];
  for (const [index, { group }] of columns.entries()) {
    if (!group) continue;
    const last = spans.at(-1);
    if (last && columns[index - 1]!.group === group) last.to = places[index]!.x + columnWidth;
    else spans.push({ title: group, from: places[index]!.x, to: places[index]!.x + columnWidth });
  }
  return spans;
}

function drawPicture(image: Raster, x: number, y: number, size: { width: number; height: number; crisp: boolean }) {
  const png = Buffer.from(encodePng(image)).toString('base64');
  const rendering = size.crisp ? 'optimizeSpeed' : 'optimizeQuality';
  return `<image x="${x}" y="${y}" width="${size.width}" height="${size.height}" image-rendering="${rendering}" preserveAspectRatio="none" xlink:href="data:image/png;base64,${png}"/>`;
}

function rule(from: number, to: number, y: number, colour: string, weight: number): string {
  return `<rect x="${from}" y="${y}" width="${to - from}" height="${weight}" fill="${colour}"/>`;
}

interface TextStyle {
  size: number;
  weight?: 'bold';
  fill?: string;
  spacing?: number;
}

function text(x: number, y: number, content: string, style: TextStyle): string {
  const weight = style.weight ? ` font-weight="${style.weight}"` : '';
  const spacing = style.spacing ? ` letter-spacing="${style.spacing}"` : '';
  return `<text x="${x}" y="${y}" font-size="${style.size}"${weight}${spacing} fill="${style.fill ?? ink.text}">${svgText(content)}</text>`;
}
