/** From a request's body to a job in the queue. */
import type { Context } from 'hono';

import type { Job } from './job';
import { checkLimits } from './limits';
import { generateOptionsOf, type ImageRequest } from './request';
import type { Services } from './services';

/** What is wrong with a request is said before it waits, where the bundle is loaded and can say it. */
export async function accept(request: ImageRequest, services: Services): Promise<Job> {
  const { bundles, settings } = services;
  const bundle = request.bundle ?? bundles.preferred;
  bundles.check(bundle);
  checkLimits(request, await bundles.manifest(bundle), settings);
  const options = generateOptionsOf(request);
  if (bundles.isLoaded(bundle)) await bundles.with(bundle, async (pipeline) => void pipeline.plan(options));
  return services.jobs.submit(bundle, request);
}

/** Waits for a job, which is forgotten then: its pictures go into this one answer. Who stops waiting gives it up. */
export async function wait(job: Job, { req }: Context, { jobs }: Services): Promise<void> {
  const { signal } = req.raw;
  const giveUp = () => job.cancel();
  if (signal.aborted) giveUp();
  signal.addEventListener('abort', giveUp, { once: true });
  await job.settled();
  signal.removeEventListener('abort', giveUp);
  jobs.forget(job);
}
