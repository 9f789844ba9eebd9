/** `POST /v1/images`: pictures in one answer. */
import type { Hono } from 'hono';

import { countImages } from '../../plan';
import { shortened } from '../../validation/invalid';
import { accept, wait } from '../accept';
import { readBody } from '../body';
import type { Job, JobPicture } from '../job';
import { preferredType } from '../mediaType';
import { bytesInPieces, jsonInPieces } from '../pieces';
import { type problemOf, ServerError, statusOf } from '../problem';
import { imageRequestSchema } from '../request';
import type { Services } from '../services';

/** Of a picture PNG by either name: a video is an animated one, and every reader of PNG shows its first frame. */
const types = ['application/json', 'image/png', 'image/apng'] as const;

/** @throws NOT_ACCEPTABLE; BAD_REQUEST for what is there, but not for several pictures */
function typeOf(accept: string | undefined, count: number): (typeof types)[number] {
  const type = preferredType(accept, count > 1 ? types.slice(0, 1) : types);
  if (type !== null) return type;
  const received = `received '${shortened(accept!)}'`;
  if (preferredType(accept, types) === null) {
    throw new ServerError('NOT_ACCEPTABLE', `Accept: expected one of ${types.join(', ')}, ${received}.`);
  }
  throw new ServerError('BAD_REQUEST', `Accept: expected application/json for ${count} pictures, ${received}.`);
}

export function imageRoutes(app: Hono, services: Services): void {
  app.post('/v1/images', async (context) => {
    const request = await readBody(context, imageRequestSchema);
    const type = typeOf(context.req.header('accept'), countImages(request));
    const job = await accept(request, services);
    await wait(job, context, services);
    const { images, ...rest } = resultOf(job);
    if (type === 'application/json') return jsonInPieces(context, { id: job.id, bundle: job.bundle, images, ...rest });
    const [image] = images as [JobPicture];
    context.header('X-Seed', String(image.seed));
    context.header('X-Job', job.id);
    return bytesInPieces(context, image.png, type);
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
