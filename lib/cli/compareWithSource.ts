/** Whether the bundle of an export loads, and gives what the modules give that it was made from. */
import { readFile } from 'node:fs/promises';

import { opened, type OpenBundle } from '../bundle';
import { loadTorchScript } from '../model/torchScript';
import { loadPipeline } from '../pipeline';
import { decodeSafetensors, toFloat32, type Tensor } from '../tensor';
import { DetailGuidanceError } from '../validation/errors';

type Precision = 'float32' | 'bfloat16';

/**
 * How far the outputs may lie from the source's, as ‖difference‖ / ‖source‖: the source was evaluated in float32. Weights
 * that are missing, mixed up or of another scale are off by more than a tenth of that at least.
 */
const tolerance: Record<Precision, number> = { float32: 1e-3, bfloat16: 0.1 };

/**
 * Opens the bundle as any caller would, on the CPU with one part in memory at a time, and evaluates every TorchScript
 * file once.
 *
 * @param values what the source gives, a safetensors file (input.0, …, output.0, …) for each file of the bundle
 * @throws what `loadPipeline`, `forward` and `loadTorchScript` throw; EXPORT_FAILED when the values differ
 */
export async function compareWithSource(
  folder: string,
  values: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  const dtype = precisionOf(await storedDtype(folder, signal));
  const load = { device: 'cpu', dtype, lowMemory: true, checkMemory: false, signal } as const;
  const pipeline = await loadPipeline(folder, load);
  try {
    const bundle = opened(pipeline.bundle);
    for (const [file, place] of Object.entries(values)) {
      const { inputs, outputs } = await readValues(place);
      if (file === bundle.transformer.file) {
        const named = bundle.transformer.inputs.map(({ name }, index) => [name, inputs[index]!] as const);
        const { output } = await pipeline.forward(Object.fromEntries(named), { signal });
        compare(file, [output], [firstChannels(outputs[0]!, output.shape[1]!)], dtype);
      } else {
        const own = precisionOf(dtypesOf(bundle)[file] ?? 'float32');
        await using component = await loadTorchScript(bundle.path(file), { device: 'cpu', dtype: own, signal });
        compare(file, await component.run(inputs, signal), outputs, own);
      }
    }
  } finally {
    await pipeline.dispose();
  }
}

/** On a CPU half precision overflows and is slow; bfloat16 takes as little memory. */
function precisionOf(stored: string): Precision {
  return stored === 'float32' ? 'float32' : 'bfloat16';
}

async function storedDtype(folder: string, signal: AbortSignal): Promise<string> {
  const text = await readFile(`${folder}/bundle.json`, { encoding: 'utf8', signal });
  const { transformer } = JSON.parse(text) as { transformer?: { dtype?: unknown } };
  return String(transformer?.dtype);
}

/** Of the weights on disk, by file. */
function dtypesOf({ textEncoders = {}, vae }: OpenBundle): Record<string, string> {
  const parts = [...Object.values(textEncoders), vae?.decoder, vae?.encoder];
  return Object.fromEntries(parts.flatMap((part) => (part ? [[part.file, part.dtype]] : [])));
}

async function readValues(place: string): Promise<{ inputs: Tensor[]; outputs: Tensor[] }> {
  const { tensors } = decodeSafetensors(await readFile(place));
  const list = (kind: string): Tensor[] => {
    const list: Tensor[] = [];
    for (let at = 0; `${kind}.${at}` in tensors; at++) list.push(tensors[`${kind}.${at}`]!);
    return list;
  };
  return { inputs: list('input'), outputs: list('output') };
}

/** The transformer's further channels (a predicted variance) are not given out. */
function firstChannels({ data, shape, dtype }: Tensor, count: number): Tensor {
  const [batch, channels, ...rest] = shape as [number, number, ...number[]];
  if (channels <= count) return { data, shape, dtype };
  const plane = rest.reduce((product, size) => product * size, 1);
  const front = new Float32Array(batch * count * plane);
  for (let row = 0; row < batch; row++) {
    const start = row * channels * plane;
    front.set((data as Float32Array).subarray(start, start + count * plane), row * count * plane);
  }
  return { data: front, shape: [batch, count, ...rest], dtype };
}

function compare(file: string, outputs: Tensor[], source: Tensor[], precision: Precision): void {
  const shapes = (tensors: Tensor[]): string => tensors.map(({ shape }) => `[${shape.join(', ')}]`).join(', ');
  if (shapes(outputs) !== shapes(source)) {
    throw differs(file, `outputs of the shapes ${shapes(source)}`, shapes(outputs));
  }
  outputs.forEach((output, index) => {
    const distance = relativeDistance(toFloat32(output), toFloat32(source[index]!));
    if (distance <= tolerance[precision]) return;
    throw differs(file, `outputs within ${tolerance[precision]} of the source's`, distance.toPrecision(2));
  });
}

function differs(file: string, expected: string, received: string): DetailGuidanceError {
  const message = `${file} does not give what its source gives: expected ${expected}, received ${received}.`;
  return new DetailGuidanceError('EXPORT_FAILED', message, { received, expected });
}

/** ‖a - b‖ / ‖b‖; NaN when a value is. */
function relativeDistance(a: Float32Array, b: Float32Array): number {
  let distance = 0;
  let length = 0;
  b.forEach((value, index) => {
    distance += (a[index]! - value) ** 2;
    length += value ** 2;
  });
  return Math.sqrt(distance / Math.max(length, Number.MIN_VALUE));
}
