/** The picture of a step, small enough for an event. */
import { encodeSizedAside } from '../call/png';
import type { StepEvent } from '../request/stepEvent';

/** Pixels along the longer side. */
const longestSide = 512;

/** Null without one. */
export async function previewOf({
  preview,
}: StepEvent): Promise<{ width: number; height: number; png: string } | null> {
  const picture = preview?.[0];
  if (!picture) return null;
  const share = Math.min(1, longestSide / Math.max(picture.width, picture.height));
  const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(side * share))) as [
    number,
    number,
  ];
  // Nobody else has the step's picture.
  const png = await encodeSizedAside(picture, { width, height }, true);
  return { width, height, png: Buffer.from(png).toString('base64') };
}
