/** `POST /v1/plan`: what a request would compute, without computing it. */
import type { Hono } from 'hono';

import { readBody } from '../body';
import { checkLimits } from '../limits';
import { generateOptionsOf, imageRequestSchema } from '../request';
import type { Services } from '../services';

export function planRoutes(app: Hono, { bundles, settings }: Services): void {
  app.post('/v1/plan', async (context) => {
    const request = await readBody(context, imageRequestSchema);
    const bundle = request.bundle ?? bundles.preferred;
    bundles.check(bundle);
    checkLimits(request, await bundles.manifest(bundle), settings);
    return bundles.with(bundle, async (pipeline) => {
      const plan = pipeline.plan(generateOptionsOf(request));
      return context.json({ bundle, plan, explanation: plan.explain() });
    });
  });
}
