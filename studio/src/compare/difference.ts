/** The difference of two pictures of one size, as a picture and in numbers. */
export interface Difference {
  /** RGBA. */
  image: ImageData;
  /** Of the samples, 0 to 255. */
  largest: number;
  mean: number;
  /** In decibels; infinite for the same picture. */
  psnr: number;
}

async function pixelsOf(url: string): Promise<ImageData> {
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = document.createElement('canvas');
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext('2d', { willReadFrequently: true })!;
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

const toPaper = [255, 255, 255] as const;
const blue = [33, 102, 172] as const;
const red = [178, 24, 43] as const;

/**
 * Signed: red where b is brighter, blue where a is; absolute: white is the most.
 *
 * @param most the difference, 0 to 255, that has the full colour
 * @throws Error for pictures of two sizes
 */
export async function differenceOf(
  a: string,
  b: string,
  kind: 'signed' | 'absolute',
  most: number,
): Promise<Difference> {
  const [one, other] = await Promise.all([pixelsOf(a), pixelsOf(b)]);
  if (one.width !== other.width || one.height !== other.height) {
    throw new Error(
      `The pictures have two sizes, ${one.width} × ${one.height} and ${other.width} × ${other.height}: there is no difference to show.`,
    );
  }
  const image = new ImageData(one.width, one.height);
  let [largest, sum, squares] = [0, 0, 0];
  for (let at = 0; at < one.data.length; at += 4) {
    const deltas = [0, 1, 2].map((channel) => other.data[at + channel]! - one.data[at + channel]!);
    for (const delta of deltas) {
      largest = Math.max(largest, Math.abs(delta));
      sum += Math.abs(delta);
      squares += delta * delta;
    }
    const delta = (deltas[0]! + deltas[1]! + deltas[2]!) / 3;
    const share = Math.min(1, Math.abs(delta) / most);
    const colour =
      kind === 'absolute'
        ? [255 * share, 255 * share, 255 * share]
        : toPaper.map((white, channel) => white + ((delta > 0 ? red : blue)[channel]! - white) * share);
    image.data.set([...colour, 255], at);
  }
  const samples = (one.data.length / 4) * 3;
  return { image, largest, mean: sum / samples, psnr: 10 * Math.log10(255 ** 2 / (squares / samples)) };
}
