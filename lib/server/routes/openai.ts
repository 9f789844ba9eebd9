/** The part of OpenAI's interface that makes pictures, so that tools that speak it connect by another URL. */
import type { Hono } from 'hono';
import { z } from 'zod';

import { parse } from '../../validation/parse';
import { choice, text, whole } from '../../validation/vocabulary';
import { accept, wait } from '../accept';
import { readBody } from '../body';
import { jsonInPieces } from '../pieces';
import { imageRequestSchema } from '../request';
import type { Services } from '../services';

import { resultOf } from './images';

const size = z.string({ error: "'auto' or WIDTHxHEIGHT" }).regex(/^(auto|\d{1,5}x\d{1,5})$/, "'auto' or WIDTHxHEIGHT");

/** Loose: clients send fields that mean nothing here (quality, style, user). */
export const openAiImageSchema = z.looseObject({
  /** Of a bundle conditioned by class: the name of a class. */
  prompt: text(),
  /** Name of a bundle; any other name means the first one. */
  model: z.string({ error: 'the name of a bundle' }).nullish(),
  n: whole(1).nullish(),
  size: size.nullish(),
  response_format: choice(['b64_json']).nullish(),
  output_format: choice(['png']).nullish(),
  stream: z.literal(false, { error: 'false' }).nullish(),
});

export function openAiRoutes(app: Hono, services: Services): void {
  const { bundles } = services;

  const modelOf = (id: string) => ({ id, object: 'model', created: 0, owned_by: 'detail-guidance' });

  app.get('/v1/models', (context) => context.json({ object: 'list', data: bundles.names.map(modelOf) }));

  app.get('/v1/models/:id', (context) => {
    const id = context.req.param('id');
    bundles.check(id);
    return context.json(modelOf(id));
  });

  app.post('/v1/images/generations', async (context) => {
    const { prompt, model, n, size: sizeText } = await readBody(context, openAiImageSchema);
    const bundle = typeof model === 'string' && bundles.names.includes(model) ? model : bundles.preferred;
    const { conditioning } = await bundles.manifest(bundle);
    const [, width, height] = /^(\d+)x(\d+)$/.exec(sizeText ?? '') ?? [];
    const options = {
      bundle,
      ...(conditioning.kind === 'class' ? { classLabel: prompt } : { prompt }),
      ...(width === undefined ? {} : { width: Number(width), height: Number(height) }),
      ...(n ? { numImages: n } : {}),
    };
    const request = parse(imageRequestSchema, options, 'body');
    const job = await accept(request, services);
    await wait(job, context, services);
    const data = resultOf(job).images.map(({ png }) => ({ b64_json: png }));
    return jsonInPieces(context, { created: Math.floor(job.created / 1000), data });
  });
}
