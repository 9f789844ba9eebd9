/**
 * `bundle.json`, format 1: everything the library knows about a model that its TorchScript file does not say.
 *
 * Unknown keys are refused, since a misspelt optional key would otherwise be silently ignored; keys that begin with
 * `x-` are for anybody's own notes and are kept.
 */
import { z } from 'zod';

import { schedulerSchema } from '../schedule/schema';

import { closed, count, fileName, index, weightDtype } from './closed';
import { textConditioningSchema, textEncoderSchema } from './text';
import { vaeSchema } from './vae';

const bundleFileSchema = closed({
  /** SHA-256 of the file, 64 lower-case hexadecimal digits. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/, '64 lower-case hexadecimal digits'),
  /** Size of the file in bytes. */
  bytes: index,
});

/** What an input of the transformer is for. */
export const inputRoles = [
  'latent',
  'timestep',
  'class',
  'text',
  'pooled',
  'guidance',
  'position_ids',
  'mask',
  'size',
] as const;

const inputSchema = closed({
  /** Name of the argument of `forward()`. */
  name: z.string().min(1),
  role: z.enum(inputRoles),
  /** `float` is the dtype that the model is loaded in. */
  dtype: z.enum(['float', 'float32', 'float16', 'bfloat16', 'float64', 'int64', 'int32', 'uint8', 'bool']),
  /** Sizes; the first one is `batch` for an input with a row an image; a name stands for a size that is free. */
  shape: z.array(z.union([count, z.string()])),
});

const transformerSchema = closed({
  file: fileName,
  /** Dtype of the weights on disk. */
  dtype: weightDtype,
  /** In the order of `forward()`. */
  inputs: z.array(inputSchema).min(1),
  /** Block containers in order of evaluation; a block's layer index is counted through all of them from 0. */
  blocks: z.array(closed({ path: z.string().min(1), streams: z.array(z.string().min(1)).min(1) })).min(1),
  /** Channels of the prediction; a model that also predicts a variance has more, after these. */
  outputChannels: count,
  /**
   * Peak signal-to-noise ratio, in dB, of pictures made in a dtype against the same ones in float32, measured at export;
   * `dtype: 'auto'` goes by it.
   */
  psnr: closed({ bfloat16: z.number().optional(), float16: z.number().optional() }).optional(),
  /** What the model predicts: flow (noise - x0), epsilon, v or sample (x0). */
  prediction: z.enum(['flow', 'epsilon', 'v', 'sample']),
  /** Tokens of the image stream at the default size: [rows, columns]; a token is latent.height / rows cells high. */
  tokenGrid: z.tuple([count, count]),
  /** Order of the tokens in attention that image and text take part in: SD3's is image-first. Default text-first. */
  jointAttention: z.enum(['text-first', 'image-first']).optional(),
  /** Width of the residual stream. */
  hiddenChannels: count,
});

const conditioningSchema = z.discriminatedUnion('kind', [
  closed({
    kind: z.literal('class'),
    numClasses: count,
    /** Index of the unconditional class. Without one, classifier-free guidance is refused. */
    nullClass: index.optional(),
    labels: z.array(z.string()).optional(),
  }),
  /** Every input that is neither latent nor timestep is given by the caller as a tensor. */
  closed({ kind: z.literal('tensors') }),
  textConditioningSchema,
]);

const massiveActivationsSchema = closed({
  stream: z.string().default('image'),
  /** Layer whose output is disrupted by default. */
  layer: index,
  /** Channels of the hidden state, the strongest first. */
  channels: z.array(index).min(1),
  /** The rule that chose them, in words. */
  rule: z.string().optional(),
  /** `measured`, or the publication that names them. */
  source: z.string().optional(),
  /** File with the measurements they were chosen from. */
  statistics: fileName.optional(),
});

/** The contents of `bundle.json`. */
export const bundleSchema = closed({
  format: z.literal(1),
  name: z.string().min(1),
  /** Architecture: dit, sd3, flux, pixart… For people; the library reads the rest. */
  family: z.string().min(1),
  licence: z.string().min(1),
  description: z.string().optional(),
  /** Every file that the bundle uses, by its path inside the folder. */
  files: z.record(z.string(), bundleFileSchema),
  transformer: transformerSchema,
  /** One image's latent at the default size; `frames` for video; the largest size where there is one. */
  latent: closed({
    channels: count,
    height: count,
    width: count,
    frames: count.optional(),
    maxHeight: count.optional(),
    maxWidth: count.optional(),
  }),
  /** By a name of the bundle's own. */
  textEncoders: z.record(z.string(), textEncoderSchema).optional(),
  conditioning: conditioningSchema,
  scheduler: schedulerSchema,
  image: z.discriminatedUnion('kind', [
    closed({
      /** The latent is the picture. */
      kind: z.literal('pixels'),
      /** Latent values of black and white. */
      range: z.tuple([z.number(), z.number()]),
      channels: z.union([z.literal(1), z.literal(3)]),
    }),
    closed({
      /** A VAE makes the picture of the latent. */
      kind: z.literal('vae'),
      /** What its decoder gives for black and white. */
      range: z.tuple([z.number(), z.number()]),
      channels: z.literal(3),
    }),
  ]),
  vae: vaeSchema.optional(),
  /** Judges pictures in evaluations; any further keys are notes. */
  classifier: z
    .looseObject({
      /** TorchScript: pictures [N, C, H, W] -> scores of the classes of `conditioning`. */
      file: fileName,
      /** TorchScript: the same pictures -> feature vectors [N, width], for distances between distributions. */
      features: fileName.optional(),
      /** Values of black and white that both take. Default: those of `image`. */
      range: z.tuple([z.number(), z.number()]).optional(),
      /** Height and width that both take. Default: those of the pictures. */
      size: z.tuple([count, count]).optional(),
    })
    .optional(),
  massiveActivations: massiveActivationsSchema.optional(),
  defaults: closed({
    numInferenceSteps: count.optional(),
    /** Guidance when `generate` is given none; checked by the schema of `generate` when it is used. */
    guidance: z.record(z.string(), z.unknown()).optional(),
    /** Pictures a second, for video. */
    frameRate: z.number().positive().optional(),
  }).optional(),
});

export type BundleManifest = z.output<typeof bundleSchema>;
export type BundleInput = BundleManifest['transformer']['inputs'][number];
