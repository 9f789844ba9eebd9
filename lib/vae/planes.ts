/** One picture or its latents, one channel after the other. */

/** [channels, height, width]. */
export interface Planes {
  data: Float32Array;
  channels: number;
  height: number;
  width: number;
}

/** A part of the planes, as far as it lies inside them. */
export function crop(from: Planes, top: number, left: number, height: number, width: number): Planes {
  const rows = Math.min(height, from.height - top);
  const columns = Math.min(width, from.width - left);
  const part = {
    data: new Float32Array(from.channels * rows * columns),
    channels: from.channels,
    height: rows,
    width: columns,
  };
  for (let channel = 0; channel < from.channels; channel++) {
    for (let row = 0; row < rows; row++) {
      const start = (channel * from.height + top + row) * from.width + left;
      part.data.set(from.data.subarray(start, start + columns), (channel * rows + row) * columns);
    }
  }
  return part;
}

/** Copies a part to where it belongs; what would lie outside is left out. */
export function paste(part: Planes, into: Planes, top: number, left: number): void {
  const columns = Math.min(part.width, into.width - left);
  const rows = Math.min(part.height, into.height - top);
  for (let channel = 0; channel < into.channels; channel++) {
    for (let row = 0; row < rows; row++) {
      const start = (channel * part.height + row) * part.width;
      const place = (channel * into.height + top + row) * into.width + left;
      into.data.set(part.data.subarray(start, start + columns), place);
    }
  }
}
