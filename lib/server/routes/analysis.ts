/** `POST /v1/analysis/…`: what is inside the model, along its own trajectories. */
import type { Hono } from 'hono';

import { analyses } from '../analyses';
import { readBody } from '../body';
import { checkAnalysisLimits, type AnalysisSize } from '../limits';
import { ServerError } from '../problem';
import type { Services } from '../services';

export function analysisRoutes(app: Hono, { bundles, settings }: Services): void {
  let waiting = 0;
  for (const [name, { schema, run }] of Object.entries(analyses)) {
    app.post(`/v1/analysis/${name}`, async (context) => {
      const request = (await readBody(context, schema)) as AnalysisSize & { bundle?: string };
      const bundle = request.bundle ?? bundles.preferred;
      bundles.check(bundle);
      checkAnalysisLimits(request, settings);
      if (waiting >= settings.maxQueue) {
        const message = `${settings.maxQueue} analyses wait already; try again in 5 s.`;
        throw new ServerError('QUEUE_FULL', message, { 'Retry-After': '5' });
      }
      waiting++;
      try {
        // Who does not wait for the answer ends the work.
        const { signal } = context.req.raw;
        const result = await bundles.with(bundle, (pipeline) => run(pipeline, request, signal));
        return context.body(JSON.stringify(result, sixDigits), 200, { 'Content-Type': 'application/json' });
      } finally {
        waiting--;
      }
    });
  }
}

/** Measurements in float32 have no more. */
const sixDigits = (_key: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
