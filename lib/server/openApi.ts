/** The server's interface as an OpenAPI 3.1 document, made from the schemas that requests are validated by. */
import { z } from 'zod';

import { version } from '../files/version';

import { analyses } from './analyses';
import { imageRequestSchema } from './request';
import { openAiImageSchema } from './routes/openai';

type Json = Record<string, unknown>;

const jsonSchema = (schema: z.ZodType): Json => {
  const document: Json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  delete document['$schema'];
  return document;
};

const json = (schema: Json) => ({ 'application/json': { schema } });
const reference = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });
const answer = (description: string, content?: Json): Json => ({ description, ...(content ? { content } : {}) });

const problems = {
  '400': answer('An option is wrong; `error.expected` says what would be right.', json(reference('Error'))),
  '401': answer('The bearer token is missing or wrong.', json(reference('Error'))),
  '404': answer('There is no such bundle or job.', json(reference('Error'))),
  '429': answer('The queue is full; `Retry-After` gives seconds.', json(reference('Error'))),
};

const body = (name: string): Json => ({ required: true, content: json(reference(name)) });
const jobId = { name: 'id', in: 'path', required: true, schema: { type: 'string', format: 'uuid' } };
const file = { schema: { type: 'string', format: 'binary' } };
const png = { 'image/png': file };

const picture: Json = {
  type: 'object',
  required: ['seed', 'width', 'height', 'frames', 'frameRate'],
  properties: {
    seed: { type: 'integer' },
    width: { type: 'integer' },
    height: { type: 'integer' },
    frames: { type: 'integer', description: 'Of a video; 1 for a picture.' },
    frameRate: { type: ['number', 'null'], description: 'Frames a second of a video; null for a picture.' },
    url: { type: 'string', description: 'Where the PNG is, in a job; of a video it is animated.' },
    png: {
      type: 'string',
      contentEncoding: 'base64',
      description: 'The PNG, of a video the animated one, in the answer of POST /v1/images.',
    },
  },
};

const summary = {
  id: { type: 'string', format: 'uuid' },
  bundle: { type: 'string' },
  state: { type: 'string', enum: ['queued', 'running', 'done', 'failed', 'cancelled'] },
  created: { type: 'string', format: 'date-time' },
  ended: { type: ['string', 'null'], format: 'date-time' },
  error: reference('Problem'),
};

const job = {
  type: 'object',
  required: ['id', 'bundle', 'state', 'created', 'events'],
  properties: {
    ...summary,
    events: { type: 'string' },
    images: { type: 'array', items: reference('Picture') },
    plan: { type: 'object' },
    evaluations: { type: 'number' },
    seconds: { type: 'number' },
  },
};

const problem: Json = {
  type: 'object',
  required: ['code', 'message', 'type'],
  properties: {
    code: { type: 'string' },
    message: { type: 'string' },
    type: { enum: ['invalid_request_error', 'server_error'] },
    expected: { type: 'string' },
  },
};

let cached: Json | null = null;

export function openApiDocument(): Json {
  cached ??= {
    openapi: '3.1.0',
    info: {
      title: 'detail-guidance',
      version: version(),
      description: 'Pictures of Diffusion Transformers with Detail Guidance and classifier-free guidance.',
    },
    security: [{}, { bearer: [] }],
    paths: {
      '/v1/images': {
        post: {
          summary: 'Make pictures and wait for them',
          requestBody: body('ImageRequest'),
          responses: {
            '200': answer('The pictures; with `Accept: image/png` the one picture itself, a video as animated PNG.', {
              ...json({
                type: 'object',
                properties: {
                  id: { type: 'string' },
                  bundle: { type: 'string' },
                  images: { type: 'array', items: reference('Picture') },
                  plan: { type: 'object' },
                  evaluations: { type: 'number' },
                  seconds: { type: 'number' },
                },
              }),
              ...png,
              'image/apng': file,
            }),
            ...problems,
          },
        },
      },
      '/v1/jobs': {
        post: {
          summary: 'Put a request into the queue',
          requestBody: body('ImageRequest'),
          responses: { '202': answer('The job.', json(reference('Job'))), ...problems },
        },
        get: {
          summary: 'The latest jobs in a state, the newest first; those that failed for good by default',
          parameters: [
            { name: 'state', in: 'query', schema: { ...job.properties.state, default: 'failed' } },
            { name: 'limit', in: 'query', schema: { type: 'integer', minimum: 1, maximum: 999, default: 50 } },
          ],
          responses: {
            '200': answer(
              'The jobs.',
              json({ type: 'object', properties: { jobs: { type: 'array', items: reference('JobSummary') } } }),
            ),
            ...problems,
          },
        },
      },
      '/v1/jobs/{id}': {
        parameters: [jobId],
        get: {
          summary: 'How a job is doing, and its pictures when it is done',
          responses: { '200': answer('The job.', json(reference('Job'))), ...problems },
        },
        delete: {
          summary: 'Cancel a job',
          responses: {
            '202': answer('The job, which ends within one evaluation.', json(reference('Job'))),
            ...problems,
          },
        },
      },
      '/v1/jobs/{id}/events': {
        parameters: [jobId],
        get: {
          summary: 'News of a job: queued, started, progress, step, preview, warning, done, failed, cancelled',
          responses: {
            '200': answer('Server-sent events; `Last-Event-ID` goes on from there.', {
              'text/event-stream': { schema: { type: 'string' } },
            }),
            ...problems,
          },
        },
      },
      '/v1/jobs/{id}/images/{index}': {
        parameters: [jobId, { name: 'index', in: 'path', required: true, schema: { type: 'integer', minimum: 0 } }],
        get: {
          summary: 'A picture of a job that is done',
          responses: { '200': answer('PNG, of a video an animated one.', png), ...problems },
        },
      },
      '/v1/plan': {
        post: {
          summary: 'What a request would compute, without computing it',
          requestBody: body('ImageRequest'),
          responses: { '200': answer('Plan and explanation.', json({ type: 'object' })), ...problems },
        },
      },
      ...Object.fromEntries(
        Object.entries(analyses).map(([name, { summary, schemaName }]) => [
          `/v1/analysis/${name}`,
          {
            post: {
              summary,
              requestBody: body(schemaName),
              responses: {
                '200': answer(
                  'As the function of the package gives it; as server-sent events step, and done or failed, where they are asked for.',
                  { ...json({ type: 'object' }), 'text/event-stream': { schema: { type: 'string' } } },
                ),
                ...problems,
              },
            },
          },
        ]),
      ),
      '/v1/bundles': {
        get: {
          summary: 'Bundles: classes, sizes, layers, channels, defaults',
          responses: { '200': answer('The bundles.', json({ type: 'object' })) },
        },
      },
      '/v1/images/generations': {
        post: {
          summary: "OpenAI's request for pictures",
          requestBody: body('OpenAiImageRequest'),
          responses: {
            '200': answer('Pictures in base64, videos as animated PNG.', json({ type: 'object' })),
            ...problems,
          },
        },
      },
      '/v1/models': { get: { summary: "Bundles, as OpenAI's models", responses: { '200': answer('The bundles.') } } },
      '/v1/models/{id}': {
        parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }],
        get: { summary: 'One of them', responses: { '200': answer('The bundle.'), ...problems } },
      },
      '/healthz': { get: { summary: 'Alive', responses: { '200': answer('It is.') } } },
      '/readyz': {
        get: { summary: 'Ready', responses: { '200': answer('It is.'), '503': answer('It loads, or stops.') } },
      },
      '/metrics': { get: { summary: 'Prometheus metrics', responses: { '200': answer('Text.') } } },
    },
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      schemas: {
        ImageRequest: jsonSchema(imageRequestSchema),
        OpenAiImageRequest: jsonSchema(openAiImageSchema),
        ...Object.fromEntries(
          Object.values(analyses).map(({ schemaName, schema }) => [schemaName, jsonSchema(schema)]),
        ),
        Picture: picture,
        Job: job,
        JobSummary: { type: 'object', required: ['id', 'bundle', 'state', 'created'], properties: summary },
        Problem: problem,
        Error: { type: 'object', required: ['error'], properties: { error: reference('Problem') } },
      },
    },
  };
  return cached;
}
