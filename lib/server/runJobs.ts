/** Runs jobs on a pipeline: one call of `generate` for those that share it, with its news told to each of them. */
import { randomInt } from 'node:crypto';

import type { Logger } from 'pino';

import { lastPng, type GeneratedImage, type GenerateResult } from '../call/result';
import type { Plan } from '../plan';
import type { StepEvent } from '../request/stepEvent';
import { DetailGuidanceError } from '../validation/errors';

import { joinedOptions } from './batch';
import type { BundlePool } from './bundlePool';
import type { Job, JobPicture } from './job';
import type { Metrics } from './metrics';
import { previewOf } from './preview';
import { PreviewPace } from './previewPace';
import { problemOf } from './problem';
import { generateOptionsOf } from './request';

export interface Workshop {
  bundles: BundlePool;
  metrics: Metrics;
  log: Logger;
  logPrompts: boolean;
}

/**
 * Ends every one of the jobs; does not throw.
 *
 * @param onSampled is called when the model is free for other jobs, and waited for before the pictures are handed out
 */
export async function runJobs(
  jobs: readonly Job[],
  workshop: Workshop,
  onSampled: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const { log, logPrompts } = workshop;
  const started = performance.now();
  const words = jobs.map(({ request: { prompt, negativePrompt } }) => (logPrompts ? { prompt, negativePrompt } : {}));
  try {
    const sampled = await sampleAble(jobs, workshop).finally(onSampled);
    await deliver(sampled, (performance.now() - started) / 1000, workshop);
  } catch (error) {
    const { status, problem } = problemOf(error);
    if (status >= 500) log.error({ err: error, jobs: jobs.map(({ id }) => id) }, 'a job failed');
    for (const job of jobs) {
      if (job.signal.aborted) job.endCancelled();
      else job.fail(problem);
    }
  }
  for (const [at, { id, bundle, state }] of jobs.entries()) {
    log.info({ job: id, bundle, state, ms: Math.round(performance.now() - started), ...words[at] }, 'job');
  }
}

interface Sampled {
  /** Those that were sampled. */
  able: readonly Job[];
  /** Of each of them alone, where several share a call. */
  plans: ReadonlyMap<Job, Plan> | null;
  result: GenerateResult | null;
}

/** Jobs that share a call do not share a mistake: whose request the bundle refuses fails alone, the others go on. */
async function sampleAble(jobs: readonly Job[], workshop: Workshop): Promise<Sampled> {
  const plans = jobs.length > 1 ? await plansOf(jobs, workshop) : null;
  const able = plans ? [...plans.keys()] : jobs;
  return { able, plans, result: able.length > 0 ? await sample(able, workshop) : null };
}

function plansOf(jobs: readonly Job[], { bundles }: Workshop): Promise<Map<Job, Plan>> {
  return bundles.with(jobs[0]!.bundle, (pipeline) => {
    const plans = new Map<Job, Plan>();
    for (const job of jobs) {
      try {
        plans.set(job, pipeline.plan(generateOptionsOf(job.request)));
      } catch (error) {
        job.fail(problemOf(error).problem);
      }
    }
    return Promise.resolve(plans);
  });
}

function sample(jobs: readonly Job[], { bundles, metrics, log }: Workshop): Promise<GenerateResult> {
  const bundle = jobs[0]!.bundle;
  const options = joinedOptions(
    jobs,
    jobs.map(({ request }) => Number(request.seed ?? randomInt(2 ** 31))),
  );
  // Jobs that share a call have asked for none.
  const preview = jobs.length === 1 ? jobs[0]!.request.preview : false;
  const pace = new PreviewPace(Number(preview));
  // A call that several jobs share ends when the last of them is given up.
  const abort = new AbortController();
  const giveUp = () => {
    if (jobs.every(({ signal }) => signal.aborted)) abort.abort();
  };
  for (const { signal } of jobs) signal.addEventListener('abort', giveUp, { once: true });
  giveUp();
  const tell: Job['tell'] = (name, data) => {
    for (const job of jobs) job.tell(name, data);
  };
  let latest: number | null = null;
  // Sampling does not wait for previews.
  const sendPreview = (event: StepEvent) =>
    void previewOf(event)
      .then(
        (picture) => picture && tell('preview', { step: event.step, image: event.image, ...picture }),
        (error: unknown) => log.warn({ err: error }, 'preview'),
      )
      .finally(() => pace.end());
  return bundles.with(bundle, (pipeline) =>
    pipeline.generate({
      ...options,
      // Where nobody listens, one is made for who comes later.
      preview: preview !== false && (() => (pace.isNew || jobs.some(({ isFollowed }) => isFollowed)) && pace.begin()),
      signal: abort.signal,
      onStep: (event) => {
        const now = performance.now();
        // Before the first one the model is loaded, and its prompt encoded.
        if (latest !== null) metrics.step(bundle, (now - latest) / 1000);
        latest = now;
        tell('step', stepOf(event));
        if (event.preview) sendPreview(event);
      },
      onProgress: (event) => tell('progress', { ...event }),
      onWarning: ({ code, message }) => tell('warning', { code, message }),
    }),
  );
}

const stepOf = ({ step, steps, image, images, timestep, fraction }: StepEvent) => ({
  step,
  steps,
  image,
  images,
  timestep,
  fraction,
});

async function deliver({ able: jobs, plans, result }: Sampled, seconds: number, { metrics }: Workshop): Promise<void> {
  if (!result) return;
  const { images, plan: shared, evaluations } = result;
  const pictures: JobPicture[] = [];
  for (const image of images) pictures.push(await pictureOf(image));
  metrics.pictures(jobs[0]!.bundle, pictures.length, seconds);
  const share = pictures.length / jobs.length;
  if (!Number.isInteger(share)) throw new DetailGuidanceError('MODEL_FAILED', 'A batch gave too few pictures.');
  jobs.forEach((job, at) => {
    if (job.signal.aborted) job.endCancelled();
    else {
      const own = pictures.slice(at * share, (at + 1) * share);
      // Its own: what the others asked for is theirs.
      const plan = { ...(plans?.get(job) ?? shared), batchSize: shared.batchSize };
      job.finish({ images: own, plan, evaluations: evaluations / jobs.length, seconds });
    }
  });
}

async function pictureOf(image: GeneratedImage): Promise<JobPicture> {
  const { width, height, frames, frameRate } = image;
  // JSON has no bigint; a request in JSON asked for none.
  const seed = Number(image.seed);
  return { seed, width, height, frames: frames.length, frameRate, png: await lastPng(image) };
}
