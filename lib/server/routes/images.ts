/** `POST /v1/images`: pictures in one answer. */
import type { Hono } from 'hono';

import { countImages } from '../../plan';
import { accept, wait } from '../accept';
import { readBody } from '../body';
import type { Job, JobPicture } from '../job';
import { bytesInPieces, jsonInPieces } from '../pieces';
import { type problemOf, ServerError, statusOf } from '../problem';
import { imageRequestSchema } from '../request';
import type { Services } from '../services';

export function imageRoutes(app: Hono, services: Services): void {
  app.post('/v1/images', async (context) => {
    const request = await readBody(context, imageRequestSchema);
    const wantsPng = /\bimage\/png\b/.test(context.req.header('accept') ?? '');
    const count = countImages(request);
    if (wantsPng && count > 1) {
      const message = `Accept: expected application/json for ${count} pictures, received image/png.`;
      throw new ServerError('BAD_REQUEST', message);
    }
    const job = await accept(request, services);
    await wait(job, context, services);
    const { images, ...rest } = resultOf(job);
    if (!wantsPng) return jsonInPieces(context, { id: job.id, bundle: job.bundle, images, ...rest });
    const [image] = images as [JobPicture];
    context.header('X-Seed', String(image.seed));
    context.header('X-Job', job.id);
    return bytesInPieces(context, image.png, 'image/png');
  });
}

/** @throws what ended the job */
export function resultOf(job: Job): NonNullable<Job['result']> {
  if (job.result) return job.result;
  if (job.problem) throw new JobFailed(job);
  throw new ServerError('BAD_REQUEST', 'The job was cancelled.');
}

/** A job's problem, as it was found when it ran. */
export class JobFailed extends Error {
  constructor(readonly job: Job) {
    super(job.problem!.message);
  }

  get answer(): ReturnType<typeof problemOf> {
    const problem = this.job.problem!;
    return { status: statusOf(problem), headers: {}, problem };
  }
}
