/** A request for pictures as JSON: the options of `generate`, with bytes and tensors as base64. */
import { z } from 'zod';

import { base64Of, base64Pattern, bytesOfBase64, replaceBytes } from '../aside/json';
import { generateSchema, type GenerateOptions } from '../request/generateOptions';
import { dtypes, type Dtype, type Tensor } from '../tensor';
import { describedBy } from '../validation/describedBy';
import { invalid } from '../validation/invalid';
import { choice, either, finite, flag, list, strictObject, text, whole } from '../validation/vocabulary';

/** Its bytes; of a large body they have been taken out of it already (body.ts). */
const base64 = (what: string) =>
  z
    .custom<string>(
      (value) => value instanceof Uint8Array || (typeof value === 'string' && base64Pattern.test(value)),
      `${what} in base64`,
    )
    .meta({ type: 'string', contentEncoding: 'base64', pattern: base64Pattern.source })
    .transform((value: string | Uint8Array) => (typeof value === 'string' ? bytesOfBase64(value) : value));

/** The fields that hold it. */
export const base64Fields = ['image', 'maskImage', 'data'] as const;

/** A tensor in JSON. */
export interface JsonTensor {
  /** What the values are. */
  dtype: Dtype;
  /** Sizes, the slowest first. */
  shape: number[];
  /** The values, little-endian, in base64. */
  data: string;
}

const tensorSchema = describedBy<JsonTensor>()(
  strictObject({
    dtype: choice(Object.keys(dtypes) as [Dtype, ...Dtype[]]),
    shape: list(whole(0), 'a list of sizes'),
    data: base64("the tensor's bytes"),
  }),
);
const tensors = z.record(z.string(), tensorSchema, { error: 'an object of tensors by input name' });

// What is a function, a signal, bytes or a tensor has no place in JSON, or another form there.
const otherForm = {
  onStep: true,
  onProgress: true,
  onWarning: true,
  signal: true,
  preview: true,
  guidancePerImage: true,
  batchSize: true,
  image: true,
  maskImage: true,
  latents: true,
  conditioning: true,
  negativeConditioning: true,
} as const;

/** The body of `POST /v1/images`, `/v1/jobs` and `/v1/plan`: the options of `generate` as JSON. */
export interface ImageRequestInput extends Omit<GenerateOptions, keyof typeof otherForm> {
  /** Name of a bundle, as `GET /v1/bundles` has it. Default: the first. */
  bundle?: string;
  /** Start from this picture: the bytes of a PNG, JPEG or WebP file in base64, or a data URL. */
  image?: string;
  /** White where `image` is painted anew, black where it stays; as `image`. */
  maskImage?: string;
  /** Noise in place of the seed's. */
  latents?: JsonTensor;
  /** Conditioning tensors by the name of the model's input. */
  conditioning?: Record<string, JsonTensor>;
  /** The same for the unconditional branch. */
  negativeConditioning?: Record<string, JsonTensor>;
  /** Among the jobs that wait: 1 before 2 before none; up to 1 000 000. */
  priority?: number;
  /**
   * Send previews among the job's events: of every step, where making them keeps up, or with a number from 0 to 1 as many
   * as take at most that share of the time, and at most 20 a second. Default false.
   */
  preview?: boolean | number;
}

export const imageRequestSchema = describedBy<ImageRequestInput>()(
  strictObject({
    bundle: text('the name of a bundle').optional(),
    ...generateSchema.omit(otherForm).shape,
    image: base64('a PNG, JPEG or WebP file').optional(),
    maskImage: base64('a PNG, JPEG or WebP file').optional(),
    latents: tensorSchema.optional(),
    conditioning: tensors.optional(),
    negativeConditioning: tensors.optional(),
    priority: whole(1, 1_000_000).optional(),
    preview: either([flag(), finite(0, 1)], 'true, false or a number from 0 to 1').default(false),
  }),
);

/** A request as it is worked with: defaults filled in. */
export type ImageRequest = z.output<typeof imageRequestSchema>;

/** Of a job whose request is not known, or not needed any more. */
export const emptyRequest: ImageRequest = imageRequestSchema.parse({});

/**
 * The options of `generate` that a request stands for.
 *
 * @throws BAD_TENSOR for bytes that do not fill a tensor's shape
 */
export function generateOptionsOf({
  bundle: _bundle,
  priority: _priority,
  preview: _preview,
  image,
  maskImage,
  latents,
  conditioning,
  negativeConditioning,
  ...options
}: ImageRequest): GenerateOptions {
  const complete = {
    ...options,
    image,
    maskImage,
    latents: latents === undefined ? undefined : tensorOf('latents', latents),
    conditioning: conditioning && tensorsOf('conditioning', conditioning),
    negativeConditioning: negativeConditioning && tensorsOf('negativeConditioning', negativeConditioning),
  };
  return Object.fromEntries(Object.entries(complete).filter(([, value]) => value !== undefined));
}

function tensorsOf(name: string, tensors: Record<string, z.output<typeof tensorSchema>>): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(tensors).map(([input, tensor]) => [input, tensorOf(`${name}.${input}`, tensor)]),
  );
}

function tensorOf(name: string, { dtype, shape, data }: z.output<typeof tensorSchema>): Tensor {
  const { array, bytes: bytesOfElement } = dtypes[dtype];
  const expected = shape.reduce((product, size) => product * size, 1) * bytesOfElement;
  if (data.length !== expected) {
    throw invalid(`body.${name}`, `${expected} bytes for ${dtype} [${shape.join(', ')}]`, data.length, {
      code: 'BAD_TENSOR',
    });
  }
  // A copy of its own: a Buffer's memory need not begin where an element may.
  const aligned = data.buffer.slice(data.byteOffset, data.byteOffset + data.length);
  return { dtype, shape, data: new array(aligned as ArrayBuffer) } as Tensor;
}

/** A request as JSON has it, for other machines. */
export function jsonOf(request: ImageRequest): ImageRequestInput {
  return replaceBytes(request, base64Of) as ImageRequestInput;
}
