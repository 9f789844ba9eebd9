/** `POST /v1/plan`: what a request would compute, without computing it. */
import type { Hono } from 'hono';

import { bundleFor } from '../accept';
import { readBody } from '../body';
import { checkLimits } from '../limits';
import { generateOptionsOf, imageRequestSchema } from '../request';
import type { Services } from '../services';
import { Visitors } from '../visitors';

export function planRoutes(app: Hono, services: Services): void {
  const { bundles, settings } = services;
  // The first of them waits for its bundle to be loaded.
  const visitors = new Visitors(settings.maxQueue, 'plans');
  app.post('/v1/plan', async (context) => {
    const request = await readBody(context, imageRequestSchema);
    const bundle = await bundleFor(request, services, checkLimits);
    return visitors.admit(() =>
      bundles.with(bundle, async (pipeline) => {
        const plan = pipeline.plan(generateOptionsOf(request));
        return context.json({ bundle, plan, explanation: plan.explain() });
      }),
    );
  });
}
