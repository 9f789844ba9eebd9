/** What a worker does with a job: runs it, tells its news, and puts its pictures into the store. */
import { setTimeout as sleep } from 'node:timers/promises';

import type { Job as BullJob } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';

import { version } from '../../files/version';
import { reasonOf } from '../../validation/invalid';
import { parse } from '../../validation/parse';
import { Job } from '../job';
import { problemOf, ServerError } from '../problem';
import { imageRequestSchema, type ImageRequest } from '../request';
import { runJobs, type Workshop } from '../runJobs';

import { sendPreviews } from './previews';
import type { RemoteNews, RemoteRequest, RemoteResult } from './protocol';
import type { ResultStore } from './resultStore';

/** Milliseconds that the last news of a job may take. */
const newsPatience = 2000;

/** How a job ended that has no pictures. */
class JobProblem extends Error {
  constructor(job: Job) {
    super(job.state === 'cancelled' ? JSON.stringify({ code: 'CANCELLED' }) : JSON.stringify(job.problem));
    this.isFinal = job.state === 'cancelled' || job.problem?.type === 'invalid_request_error';
  }

  readonly isFinal: boolean;
}

/** How a job failed, as the queue is told it. What is wrong with the request stays wrong; anything else is tried again, here or elsewhere. */
export function failureOf(error: unknown): { message: string; isFinal: boolean } {
  if (error instanceof JobProblem) return error;
  const { problem } = problemOf(error);
  return { message: JSON.stringify(problem), isFinal: problem.type === 'invalid_request_error' };
}

interface Means {
  store: ResultStore;
  workshop: Workshop;
  /** Has the job while it runs, so that it can be cancelled. */
  running: Map<string, Job>;
  redis: Redis;
}

export async function runRemote(
  bull: BullJob<RemoteRequest, RemoteResult>,
  bundle: string,
  { store, workshop, running, redis }: Means,
): Promise<RemoteResult> {
  const job = new Job(bundle, requestOf(bull.data), bull.id);
  running.set(job.id, job);
  try {
    job.start();
    const telling = tellNews(job, bull, workshop.log);
    if (job.request.preview) void sendPreviews(job, redis);
    await runJobs([job], workshop);
    // Redis may be away, and its pictures are to be kept.
    await Promise.race([telling, sleep(newsPatience, undefined, { ref: false })]);
    if (!job.result) throw new JobProblem(job);
    const { images, ...rest } = job.result;
    const stored = [];
    for (const [index, { png, ...image }] of images.entries()) {
      const key = `${job.id}-${index}.png`;
      await store.put(key, png);
      stored.push({ ...image, key });
    }
    return { images: stored, ...rest };
  } finally {
    running.delete(job.id);
  }
}

/** What one server took another version may not know: no fault of the client's, and another worker may know it. */
function requestOf(data: RemoteRequest | null): ImageRequest {
  const { request, version: its = 'unknown' } = data ?? {};
  try {
    return parse(imageRequestSchema, request, 'request');
  } catch (error) {
    const versions = `The server's version is ${its}, this worker's ${version()}`;
    throw new ServerError('WORKER_MISMATCH', `${versions}, and it does not know the request: ${reasonOf(error)}`);
  }
}

/** Passes on what the job tells; its end is told by the queue, and previews go to who listens for them. */
async function tellNews(job: Job, bull: BullJob<RemoteRequest, RemoteResult>, log: Logger): Promise<void> {
  for await (const { name, data } of job.news()) {
    if (name === 'done' || name === 'failed' || name === 'cancelled') return;
    if (name === 'preview') continue;
    const news = { name, data } as RemoteNews;
    await bull.updateProgress(news).catch((error: Error) => log.debug({ err: error.message }, 'news'));
  }
}
