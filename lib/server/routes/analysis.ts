/** `POST /v1/analysis/…`: what is inside the model, along its own trajectories. */
import type { Hono } from 'hono';
import { streamSSE } from 'hono/streaming';

import { analyses } from '../analyses';
import { readBody } from '../body';
import { followed, type AnalysisStep } from '../followed';
import { checkAnalysisLimits, type AnalysisSize } from '../limits';
import { problemOf, ServerError } from '../problem';
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
      // Who does not wait for the answer ends the work.
      const gone = new AbortController();
      const signal = AbortSignal.any([context.req.raw.signal, gone.signal]);
      const analyse = async (onStep?: (step: AnalysisStep) => void) => {
        waiting++;
        try {
          return await bundles.with(bundle, (pipeline) =>
            run(onStep ? followed(pipeline, onStep) : pipeline, request, signal),
          );
        } finally {
          waiting--;
        }
      };
      if (context.req.header('accept') !== 'text/event-stream') {
        return context.body(JSON.stringify(await analyse(), sixDigits), 200, { 'Content-Type': 'application/json' });
      }
      return streamSSE(context, async (stream) => {
        stream.onAbort(() => gone.abort());
        const tell = (event: string, data: unknown) =>
          stream.writeSSE({ event, data: JSON.stringify(data, sixDigits) });
        try {
          await tell('done', await analyse((step) => void tell('step', step)));
        } catch (error) {
          await tell('failed', problemOf(error).problem);
        }
      });
    });
  }
}

/** Measurements in float32 have no more. */
const sixDigits = (_key: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
