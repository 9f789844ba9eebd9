/** The picture of a step, small enough for an event. */
import type { Bundle } from '../bundle';
import { toPixels } from '../call/pixels';
import type { StepEvent } from '../request/stepEvent';
import { encodePng } from '../image/png';

/** Null where the latent is not the picture and nothing cheap makes one of it. */
export function previewOf(
  { preview }: StepEvent,
  { image }: Bundle,
): { width: number; height: number; png: string } | null {
  if (!preview || image.kind !== 'pixels' || preview.shape.length !== 4) return null;
  const [, channels, height, width] = preview.shape as [number, number, number, number];
  const first = (preview.data as Float32Array).subarray(0, channels * height * width);
  const pixels = toPixels(first, { channels, height, width }, image.range);
  const png = encodePng({ width, height, channels: image.channels, pixels });
  return { width, height, png: Buffer.from(png).toString('base64') };
}
