/** What the model is conditioned on, from the options to the tensors of its inputs. */
import type { BundleDescription, BundleInput, BundleManifest } from '../bundle';
import { invalid, unknownName } from '../validation/invalid';
import type { Conditioning } from '../guidance';
import type { GenerateRequest } from './generateOptions';
import { nearestName } from '../validation/vocabulary';
import { pictureSize, type PictureSize } from './pictureSize';
import { checkTensor, type Tensor } from '../tensor';
import { positions } from '../text';

/**
 * The class index of each image.
 *
 * @throws CLASS_OUT_OF_RANGE for an index or a name that the bundle has not; BAD_OPTION for a missing `classLabel`, or
 *   a list of another length than `numImages`
 */
export function classIndices(
  classLabel: GenerateRequest['classLabel'],
  images: number,
  conditioning: BundleDescription['conditioning'],
): number[] | null {
  if (conditioning.kind !== 'class') {
    if (classLabel === undefined) return null;
    const instead = conditioning.kind === 'text' ? "'prompt'" : "'conditioning' with tensors";
    throw invalid('options.classLabel', 'nothing', classLabel, {
      note: `this model is not conditioned by class, but by ${instead}`,
    });
  }
  if (classLabel === undefined) throw invalid('options.classLabel', describeClasses(conditioning), classLabel);
  const indices = (Array.isArray(classLabel) ? classLabel : [classLabel]).map((label) =>
    classIndex(label, conditioning),
  );
  if (!Array.isArray(classLabel)) return Array.from({ length: images }, () => indices[0]!);
  if (indices.length === images) return indices;
  throw invalid('options.classLabel', `one class, or one for each of ${images} images`, classLabel, {
    shown: `${indices.length} classes`,
  });
}

type ByClass = Extract<BundleDescription['conditioning'], { kind: 'class' }>;

function classIndex(label: number | string, conditioning: ByClass): number {
  const { numClasses, labels = [] } = conditioning;
  const index =
    typeof label === 'number' ? label : labels.findIndex((name) => name.toLowerCase() === label.toLowerCase());
  if (index >= 0 && index < numClasses) return index;
  const near = typeof label === 'string' ? nearestName(label, labels) : undefined;
  throw invalid('options.classLabel', describeClasses(conditioning), label, {
    code: 'CLASS_OUT_OF_RANGE',
    note: near && `did you mean ${near}?`,
  });
}

function describeClasses({ numClasses, labels }: ByClass): string {
  const range = `a class index from 0 to ${numClasses - 1}`;
  if (!labels) return range;
  const shown = labels.slice(0, 20).map((label, index) => `${index} '${label}'`);
  return `${range} or its name (${shown.join(', ')}${labels.length > 20 ? ', …' : ''})`;
}

/** What inputs may depend on besides the conditioning. */
export interface InputContext {
  /** Default: the bundle's. */
  size?: PictureSize;
  /** What an input for the guidance is given. Default 1. */
  embeddedScale?: number | undefined;
}

/**
 * The tensors of all inputs that are neither latent nor timestep, in the order of the model's inputs. Prompts have
 * become tensors before (call/prompts.ts); position ids, sizes and the embedded guidance scale are made here unless the
 * caller gives them.
 *
 * @param classes class index of each image; null for a model conditioned by tensors or text
 * @throws BAD_OPTION when an input is missing or unknown, or when there is nothing to be unconditional on; BAD_TENSOR
 */
export function conditioningTensors(
  which: Conditioning,
  request: Pick<GenerateRequest, 'conditioning' | 'negativeConditioning'>,
  images: number,
  classes: number[] | null,
  bundle: BundleManifest,
  { size = pictureSize({}, bundle), embeddedScale = 1 }: InputContext = {},
): Tensor[] {
  const inputs = bundle.transformer.inputs.filter(({ role }) => role !== 'latent' && role !== 'timestep');
  const positive = request.conditioning ?? {};
  const negative = request.negativeConditioning;
  if (which === 'unconditional' && classes === null && negative === undefined) {
    throw invalid(
      'options.negativeConditioning',
      'the tensors of the unconditional branch, which this guidance evaluates',
      negative,
    );
  }
  checkNames(inputs, 'conditioning', positive);
  checkNames(inputs, 'negativeConditioning', negative ?? {});
  const sourceOf = (name: string) =>
    which === 'unconditional' && negative && Object.hasOwn(negative, name) ? negative : positive;
  return inputs.map((input) => {
    const { name, role } = input;
    if (role === 'class') return classTensor(which, classes!, bundle, input);
    const source = sourceOf(name);
    if (!Object.hasOwn(source, name)) {
      const tensor = ownTensor(input, bundle, { size, embeddedScale }, (other) => sourceOf(other)[other]?.shape[1]);
      if (tensor) return tensor;
    }
    const option = `${source === positive ? 'conditioning' : 'negativeConditioning'}.${name}`;
    if (!Object.hasOwn(source, name))
      throw invalid(`options.${option}`, `the tensor of the model's ${role} input`, undefined);
    return checkInput(option, source[name]!, input, images);
  });
}

/** What follows from the size and the options alone; null for what the caller or a prompt has to give. */
function ownTensor(
  { name, role }: BundleInput,
  { conditioning }: BundleManifest,
  { size, embeddedScale }: Required<InputContext>,
  tokensOf: (input: string) => number | undefined,
): Tensor | null {
  if (role === 'guidance') return { data: Float32Array.of(embeddedScale ?? 1), shape: [1], dtype: 'float32' };
  const expression = conditioning.kind === 'text' ? conditioning.inputs[name] : undefined;
  if (!expression) return null;
  if ('positions' in expression) return positions(expression, size.tokenGrid, (input) => tokensOf(input) ?? 1);
  if (!('size' in expression)) return null;
  const { height, width } = size;
  const values = expression.size === 'resolution' ? [height, width] : [height / width];
  return { data: Float32Array.from(values), shape: [1, values.length], dtype: 'float32' };
}

function checkNames(inputs: BundleInput[], option: string, tensors: Record<string, Tensor>): void {
  const known = inputs.filter(({ role }) => role !== 'class').map(({ name }) => name);
  const unknown = Object.keys(tensors).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw unknownName(`options.${option}.${unknown}`, unknown, known);
}

function checkInput(option: string, tensor: Tensor, input: BundleInput, images: number): Tensor {
  const batched = input.shape[0] === 'batch';
  const sizes = input.shape.map((size) => (typeof size === 'number' ? size : null));
  checkTensor(tensor, {
    name: `options.${option}`,
    ...(input.dtype === 'float' ? { dtype: ['float32', 'float16', 'bfloat16'] as const } : { dtype: [input.dtype] }),
    shape: sizes,
    finite: true,
  });
  const rows = tensor.shape[0];
  if (batched && rows !== 1 && rows !== images) {
    throw invalid(`options.${option}`, `1 or ${images} rows`, rows, { code: 'BAD_TENSOR', shown: `${rows} rows` });
  }
  return tensor;
}

function classTensor(
  which: Conditioning,
  classes: number[],
  { conditioning }: BundleManifest,
  { dtype }: BundleInput,
): Tensor {
  let indices = classes;
  if (which === 'unconditional') {
    const nullClass = conditioning.kind === 'class' ? conditioning.nullClass : undefined;
    if (nullClass === undefined) {
      throw invalid('options.guidance', 'guidance without the unconditional prediction', conditioning, {
        shown: 'one that needs it',
        note: 'this model has no null class',
      });
    }
    indices = classes.map(() => nullClass);
  }
  const shape = [indices.length];
  if (dtype === 'int32') return { data: Int32Array.from(indices), shape, dtype };
  return { data: BigInt64Array.from(indices, BigInt), shape, dtype: 'int64' };
}
