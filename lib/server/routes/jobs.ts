/** `/v1/jobs`: pictures that are waited for elsewhere, with news while they are made. */
import type { Hono } from 'hono';
import { z } from 'zod';

import { parse } from '../../validation/parse';
import { choice, strictObject } from '../../validation/vocabulary';
import { accept } from '../accept';
import { readBody } from '../body';
import { eventBytes } from '../eventBytes';
import { linksOf, type Job } from '../job';
import { bytesInPieces, inTurns } from '../pieces';
import { ServerError } from '../problem';
import { imageRequestSchema } from '../request';
import type { Services } from '../services';
import { streamEvents } from '../sse';

import { JobFailed } from './images';

/** Which jobs `GET /v1/jobs` lists: those that failed are the dead letters. */
export const listSchema = strictObject({
  state: choice(['queued', 'running', 'done', 'failed', 'cancelled']).default('failed'),
  limit: z
    .string()
    .regex(/^[1-9]\d{0,2}$/, 'a whole number from 1 to 999')
    .transform(Number)
    .default(50),
});

export function jobRoutes(app: Hono, services: Services): void {
  app.post('/v1/jobs', async (context) => {
    const job = await accept(await readBody(context, imageRequestSchema), services);
    return context.json(describe(job), 202, { Location: `/v1/jobs/${job.id}` });
  });

  app.get('/v1/jobs', async (context) => {
    const { state, limit } = parse(listSchema, context.req.query(), 'query');
    return context.json({ jobs: await services.jobs.list(state, limit) });
  });

  app.get('/v1/jobs/:id', async (context) => context.json(describe(await find(context.req.param('id'), services))));

  app.delete('/v1/jobs/:id', async (context) => {
    const job = await find(context.req.param('id'), services);
    job.cancel();
    return context.json(describe(job), 202);
  });

  app.get('/v1/jobs/:id/events', async (context) => {
    const job = await find(context.req.param('id'), services);
    // Nobody reads what follows a HEAD, nor says that it has gone.
    if (context.req.raw.method === 'HEAD') return context.body(null, 200, { 'Content-Type': 'text/event-stream' });
    const last = Number(context.req.header('last-event-id') ?? 0) || 0;
    // An EventSource asks again when the stream has ended, and does not after this answer.
    if (job.hasEnded && last === job.latestEvent) return context.body(null, 204);
    return streamEvents(context, async (write, gone) => {
      for await (const event of job.events(last, gone)) await write(inTurns(eventBytes(event)));
    });
  });

  app.get('/v1/jobs/:id/images/:index', async (context) => {
    const job = await find(context.req.param('id'), services);
    const index = Number(context.req.param('index'));
    const image = job.result?.images[index];
    // It has pictures, and will give them when its store does.
    if (job.problem?.code === 'RESULT_UNAVAILABLE') throw new JobFailed(job);
    if (!image) {
      const count = job.result?.images.length ?? 0;
      throw new ServerError('NOT_FOUND', `Job ${job.id} is ${job.state} and has ${count} pictures, from 0.`);
    }
    context.header('Cache-Control', 'private, immutable');
    return bytesInPieces(context, image.png, 'image/png');
  });
}

/** As jobs are called; Redis has keys of other names beside them. */
const idPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

async function find(id: string, services: Services): Promise<Job> {
  const job = idPattern.test(id) ? await services.jobs.find(id) : null;
  if (job) return job;
  throw new ServerError('UNKNOWN_JOB', 'There is no such job: it was never there, or ended too long ago.');
}

function describe(job: Job): Record<string, unknown> {
  const { id, result, summary } = job;
  const images = result && linksOf(id, result.images);
  return {
    ...summary,
    events: `/v1/jobs/${id}/events`,
    ...(images ? { images, plan: result!.plan, evaluations: result!.evaluations, seconds: result!.seconds } : {}),
  };
}
