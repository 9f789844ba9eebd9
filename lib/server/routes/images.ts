/** `POST /v1/images`: pictures in one answer. */
import type { Hono } from 'hono';

import { accept, wait } from '../accept';
import { readBody } from '../body';
import type { Job } from '../job';
import { bytesInPieces, jsonInPieces } from '../pieces';
import { type problemOf, ServerError } from '../problem';
import { imageRequestSchema } from '../request';
import type { Services } from '../services';

export function imageRoutes(app: Hono, services: Services): void {
  app.post('/v1/images', async (context) => {
    const request = await readBody(context, imageRequestSchema);
    const wantsPng = /\bimage\/png\b/.test(context.req.header('accept') ?? '');
    const job = await accept(request, services);
    await wait(job, context, services);
    const { images, ...rest } = resultOf(job);
    if (!wantsPng) return jsonInPieces(context, { id: job.id, bundle: job.bundle, images, ...rest });
    const [image, ...others] = images;
    if (!image || others.length > 0) {
      throw new ServerError(
        'BAD_REQUEST',
        `Accept: expected application/json for ${images.length} pictures, received image/png.`,
      );
    }
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
    const isOwn = problem.type === 'invalid_request_error';
    const byCode = { OUT_OF_MEMORY: 507, BUNDLE_TOO_LARGE: 507, OUTPUT_UNWRITABLE: 507, SHUTTING_DOWN: 503 } as const;
    const status = isOwn ? 400 : (byCode[problem.code as keyof typeof byCode] ?? 500);
    return { status, headers: {}, problem };
  }
}
