/** From a request's body to a job in the queue. */
import type { Context } from 'hono';

import type { BundleManifest } from '../bundle';

import type { Job } from './job';
import { checkLimits } from './limits';
import type { ServerSettings } from './options';
import { generateOptionsOf, type ImageRequest } from './request';
import type { Services } from './services';

/**
 * The name of the bundle that a request is for.
 *
 * @param checkSize throws where the request asks for more than the operator allows
 * @throws UNKNOWN_BUNDLE; BAD_OPTION with the limit
 */
export async function bundleFor<Request extends { bundle?: string | undefined }>(
  request: Request,
  { bundles, settings }: Pick<Services, 'bundles' | 'settings'>,
  checkSize: (request: Request, manifest: BundleManifest, settings: ServerSettings) => void,
): Promise<string> {
  const bundle = request.bundle ?? bundles.preferred;
  bundles.check(bundle);
  checkSize(request, await bundles.manifest(bundle), settings);
  return bundle;
}

/** What is wrong with a request is said before it waits, where the bundle is loaded and can say it. */
export async function accept(request: ImageRequest, services: Services): Promise<Job> {
  const { bundles } = services;
  const bundle = await bundleFor(request, services, checkLimits);
  const options = generateOptionsOf(request);
  if (bundles.isLoaded(bundle)) await bundles.with(bundle, async (pipeline) => void pipeline.plan(options));
  const job = await services.jobs.submit(bundle, request);
  job.whenEnded(() => services.metrics.ended(job.state));
  return job;
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
