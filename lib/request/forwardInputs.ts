/** The inputs of a single run of the transformer. */
import type { Bundle } from '../bundle';
import { invalid } from '../validation/invalid';
import { nearest } from '../validation/vocabulary';
import { checkTensor, dtypes, elementCount, type Tensor } from '../tensor';

/**
 * Tensors by name, put in the order of the model's arguments.
 *
 * @throws BAD_OPTION for a missing or unknown input; BAD_TENSOR for one of another shape or dtype
 */
export function forwardInputs(inputs: Record<string, Tensor>, { transformer }: Bundle): Tensor[] {
  const names = transformer.inputs.map(({ name }) => name);
  if (typeof inputs !== 'object' || inputs === null)
    throw invalid('inputs', `an object with ${names.join(', ')}`, inputs);
  const unknown = Object.keys(inputs).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw invalid(`inputs.${unknown}`, nearest(unknown, names), unknown);
  }
  return transformer.inputs.map(({ name, dtype, shape }) => {
    if (!Object.hasOwn(inputs, name)) {
      throw invalid(`inputs.${name}`, `a tensor for each of ${names.join(', ')}`, undefined);
    }
    return checkTensor(inputs[name], {
      name: `inputs.${name}`,
      dtype: dtype === 'float' ? ['float32', 'float16', 'bfloat16'] : [dtype],
      shape: shape.map((size) => (typeof size === 'number' ? size : null)),
    });
  });
}

/** The token grid of a run on these inputs, in the order of the model's arguments: a token is a fixed number of cells. */
export function tokenGridOf(inputs: Tensor[], { transformer, latent }: Bundle): [rows: number, columns: number] {
  const [rows, columns] = transformer.tokenGrid;
  const at = transformer.inputs.findIndex(({ role }) => role === 'latent');
  const [height, width] = inputs[at]!.shape.slice(-2) as [number, number];
  return [(height * rows) / latent.height, (width * columns) / latent.width];
}

/**
 * Inputs of zeros for one image of the bundle's own size, in the order of the model's arguments; other sizes that are free,
 * as the tokens of a text, are 1.
 */
export function zeroInputs({ transformer, latent }: Bundle): Tensor[] {
  const [rows, columns] = transformer.tokenGrid;
  const latentShape = [
    1,
    latent.channels,
    ...(latent.frames === undefined ? [] : [latent.frames]),
    latent.height,
    latent.width,
  ];
  const known: Record<string, number> = { imageTokens: rows * columns };
  return transformer.inputs.map(({ role, dtype: declared, shape: sizes }) => {
    const dtype = declared === 'float' ? 'float32' : declared;
    const free = sizes.map((size) => (typeof size === 'number' ? size : (known[size] ?? 1)));
    const shape = role === 'latent' ? latentShape : free;
    const buffer = new ArrayBuffer(elementCount(shape) * dtypes[dtype].bytes);
    return { data: new dtypes[dtype].array(buffer), shape, dtype };
  });
}
