/**
 * `bundle.json`, format 1: everything the library knows about a model that its TorchScript file does not say.
 *
 * Unknown keys are refused, since a misspelt optional key would otherwise be silently ignored; keys that begin with
 * `x-` are for anybody's own notes and are kept.
 */
import { z } from 'zod';

import { frameRates } from '../image/frameRate';
import { activationScopes, weightFormats } from '../native';
import { schedulerSchema, type SchedulerOptions } from '../schedule/schema';
import { gives } from '../validation/describedBy';

import { blackAndWhite, closed, count, fileName, index, label, line, prose, weightDtype } from './schemaWords';
import type { InputRole } from './bundle';
import type { BundleManifest } from './manifest';
import { textConditioningSchema, textEncoderSchema } from './text';
import { vaeSchema } from './vae';

/** Pixels along a side of a picture. */
const side = count.max(65_536);

const bundleFileSchema = closed({
  sha256: z.string().regex(/^[0-9a-f]{64}$/, '64 lower-case hexadecimal digits'),
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
] as const satisfies readonly InputRole[];

const inputSchema = closed({
  name: line,
  role: z.enum(inputRoles),
  dtype: z.enum(['float', 'float32', 'float16', 'bfloat16', 'float64', 'int64', 'int32', 'uint8', 'bool']),
  shape: z.array(z.union([count, z.string()])),
});

const transformerSchema = closed({
  file: fileName,
  dtype: weightDtype,
  inputs: z.array(inputSchema).min(1),
  blocks: z
    .array(closed({ path: line, streams: z.array(line).min(1).max(64) }))
    .min(1)
    .max(4096),
  outputChannels: count,
  psnr: closed({ bfloat16: z.number().optional(), float16: z.number().optional() }).optional(),
  prediction: z.enum(['flow', 'epsilon', 'v', 'sample']),
  tokenGrid: z.tuple([count, count]),
  jointAttention: z.enum(['text-first', 'image-first']).optional(),
  hiddenChannels: count,
  quantized: closed({
    file: fileName,
    weights: z.enum(weightFormats),
    activations: z.enum(activationScopes),
    layers: z.array(closed({ path: line, inputs: count, outputs: count, channels: z.array(index) })).min(1),
  }).optional(),
});

const conditioningSchema = z.discriminatedUnion('kind', [
  closed({
    kind: z.literal('class'),
    numClasses: count,
    nullClass: index.optional(),
    labels: z.array(label).optional(),
  }),
  closed({ kind: z.literal('tensors') }),
  textConditioningSchema,
]);

const massiveActivationsSchema = closed({
  stream: line.default('image'),
  layer: index,
  channels: z.array(index).min(1),
  rule: prose.optional(),
  source: prose.optional(),
  statistics: fileName.optional(),
});

/** The contents of `bundle.json`. */
export const bundleSchema = gives<BundleManifest>()(
  closed({
    format: z.literal(1),
    name: line,
    family: line,
    licence: line,
    description: prose.optional(),
    files: z.record(line, bundleFileSchema),
    transformer: transformerSchema,
    latent: closed({
      channels: count,
      height: count,
      width: count,
      frames: count.optional(),
      maxHeight: count.optional(),
      maxWidth: count.optional(),
    }),
    textEncoders: z.record(line, textEncoderSchema).optional(),
    conditioning: conditioningSchema,
    // What a caller may write too, with all of it filled in.
    scheduler: schedulerSchema as z.ZodType<SchedulerOptions>,
    image: z.discriminatedUnion('kind', [
      closed({
        kind: z.literal('pixels'),
        range: blackAndWhite,
        channels: z.union([z.literal(1), z.literal(3)], {
          error: `1 or 3; a latent of other channels needs image.kind 'vae' and a decoder`,
        }),
      }),
      closed({
        kind: z.literal('vae'),
        range: blackAndWhite,
        channels: z.literal(3),
      }),
    ]),
    vae: vaeSchema.optional(),
    classifier: z
      .looseObject({
        file: fileName,
        features: fileName.optional(),
        range: blackAndWhite.optional(),
        size: z.tuple([side, side]).optional(),
      })
      .optional(),
    massiveActivations: massiveActivationsSchema.optional(),
    defaults: closed({
      // As `generate` takes them.
      numInferenceSteps: count.max(1000).optional(),
      guidance: z.record(z.string(), z.unknown()).optional(),
      frameRate: z.number().min(frameRates.least).max(frameRates.most).optional(),
    }).optional(),
  }),
);
