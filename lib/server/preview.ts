/** The picture of a step, small enough for an event. */
import { encodePng } from '../image/png';
import type { StepEvent } from '../request/stepEvent';

/** Null without one. */
export function previewOf({ preview }: StepEvent): { width: number; height: number; png: string } | null {
  const picture = preview?.[0];
  if (!picture) return null;
  const { width, height } = picture;
  return { width, height, png: Buffer.from(encodePng(picture)).toString('base64') };
}
