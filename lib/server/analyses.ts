/** The analyses that can be asked for: functions of `detail-guidance/analysis`, with options that JSON can hold. */
import { type z } from 'zod';

import {
  findHighNormTokens,
  findMassiveActivations,
  spatialMap,
  traceGates,
  traceMagnitude,
  type ActivationSource,
  type Conditions,
} from '../analysis';
import { blockOutputs } from '../analysis/blocks';
import { gatesSchema } from '../analysis/gates';
import { highNormSchema } from '../analysis/highNormTokens';
import { magnitudeSchema } from '../analysis/magnitude';
import { massiveActivationsSchema } from '../analysis/massiveActivations';
import { list, strictObject, text, whole } from '../validation/vocabulary';

import { generateOptionsOf, imageRequestSchema } from './request';

/** What of a request for pictures says what is drawn. */
const subjectSchema = strictObject({
  prompt: imageRequestSchema.shape.prompt,
  negativePrompt: imageRequestSchema.shape.negativePrompt,
  classLabel: imageRequestSchema.shape.classLabel,
  conditioning: imageRequestSchema.shape.conditioning,
  width: imageRequestSchema.shape.width,
  height: imageRequestSchema.shape.height,
  scheduler: imageRequestSchema.shape.scheduler,
});

const bundle = text('the name of a bundle').optional();
const conditions = list(subjectSchema, 'a list of { classLabel } or { prompt }').optional();
const notJson = { onProgress: true, signal: true } as const;

const mapSchema = strictObject({
  bundle,
  /** Of the hidden state. */
  channel: whole(0),
  /** What is drawn. */
  conditions: subjectSchema,
  layers: list(whole(0), 'a list of layers').optional(),
  seed: whole(0).default(0),
  numInferenceSteps: whole(1, 1000).default(10),
  stream: text('the name of a stream').default('image'),
});

/** One channel over the image tokens, after every layer in every evaluation, [layer][timestep][token], row by row. */
async function mapChannel(
  pipeline: ActivationSource,
  { channel, conditions: subject, layers, seed, numInferenceSteps, stream }: z.output<typeof mapSchema>,
  signal: AbortSignal,
) {
  const outputs = blockOutputs(pipeline.sites, stream, layers);
  const generate = { ...conditionsOf(subject), seed, numImages: 1, numInferenceSteps, guidance: {} };
  const { tokenGrid } = pipeline.plan(generate).size;
  const order = pipeline.bundle.transformer.jointAttention ?? undefined;
  const maps: number[][][] = outputs.map(() => []);
  const timesteps: number[] = [];
  const records = pipeline.activations({
    generate,
    sites: outputs.map(({ path, stream: name }) => ({ path, stream: name })),
    statistics: false,
    tensors: true,
    signal,
  });
  for await (const { site, step, timestep, tensor } of records) {
    const place = outputs.findIndex(({ layer }) => layer === site.block);
    maps[place]![step] = Array.from(spatialMap(tensor!, channel, tokenGrid, order).values);
    timesteps[step] = timestep;
  }
  return { channel, stream, tokenGrid, timesteps, layers: outputs.map(({ layer }) => layer), maps };
}

const conditionsOf = (subject: z.output<typeof subjectSchema>): Conditions =>
  generateOptionsOf(imageRequestSchema.parse(subject)) as Conditions;

interface Analysis<Schema extends z.ZodType = z.ZodType> {
  summary: string;
  /** Name of the request's schema in /openapi.json. */
  schemaName: string;
  schema: Schema;
  run(pipeline: ActivationSource, request: z.output<Schema>, signal: AbortSignal): Promise<unknown>;
}

const analysis = <Schema extends z.ZodType>(parts: Analysis<Schema>): Analysis => parts as unknown as Analysis;

interface AnalysisRequest {
  bundle?: string;
  conditions?: z.output<typeof subjectSchema>[];
}

/** What the function takes: the request's options, with conditions that are no JSON any more. */
function callOf<Request extends AnalysisRequest>({ bundle: _bundle, conditions: subjects, ...options }: Request) {
  return { ...options, ...(subjects ? { conditions: subjects.map(conditionsOf) } : {}) };
}

/** By the name under which they stand in /v1/analysis/. */
export const analyses: Readonly<Record<string, Analysis>> = {
  'massive-activations': analysis({
    summary: 'Find massive activations: the strength of every channel by layer and timestep',
    schemaName: 'MassiveActivationsRequest',
    schema: massiveActivationsSchema.omit(notJson).extend({ bundle, conditions }),
    run: (pipeline, request, signal) => findMassiveActivations(pipeline, { ...callOf(request), signal }),
  }),
  magnitude: analysis({
    summary: 'Trace the magnitude of channels over layers, timesteps, conditions and seeds',
    schemaName: 'MagnitudeRequest',
    schema: magnitudeSchema.omit(notJson).extend({ bundle, conditions }),
    run: (pipeline, request, signal) => traceMagnitude(pipeline, { ...callOf(request), signal }),
  }),
  gates: analysis({
    summary: 'Compare the residual gates of every block with the channels after it',
    schemaName: 'GatesRequest',
    schema: gatesSchema.omit(notJson).extend({ bundle, conditions }),
    run: (pipeline, request, signal) => traceGates(pipeline, { ...callOf(request), signal }),
  }),
  'high-norm-tokens': analysis({
    summary: 'Find tokens whose hidden state is long',
    schemaName: 'HighNormTokensRequest',
    schema: highNormSchema.omit(notJson).extend({ bundle, conditions }),
    run: (pipeline, request, signal) => findHighNormTokens(pipeline, { ...callOf(request), signal }),
  }),
  maps: analysis({
    summary: 'One channel of the hidden state over the picture, by layer and timestep',
    schemaName: 'MapsRequest',
    schema: mapSchema,
    run: mapChannel,
  }),
};
