/** `POST /v1/analysis/…`: what is inside the model, along its own trajectories. */
import type { Hono } from 'hono';
import { streamSSE } from 'hono/streaming';

import { analyses } from '../analyses';
import { readBody } from '../body';
import { followed, type AnalysisStep } from '../followed';
import { checkAnalysisLimits, type AnalysisSize } from '../limits';
import { preferredType } from '../mediaType';
import { jsonInPieces, jsonParts } from '../pieces';
import { problemOf, ServerError } from '../problem';
import type { Services } from '../services';

const types = ['application/json', 'text/event-stream'] as const;

export function analysisRoutes(app: Hono, { bundles, settings }: Services): void {
  let waiting = 0;
  for (const [name, { schema, run }] of Object.entries(analyses)) {
    app.post(`/v1/analysis/${name}`, async (context) => {
      const request = (await readBody(context, schema)) as AnalysisSize & { bundle?: string };
      const bundle = request.bundle ?? bundles.preferred;
      bundles.check(bundle);
      checkAnalysisLimits(request, await bundles.manifest(bundle), settings);
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
      if (preferredType(context.req.header('accept'), types) !== 'text/event-stream') {
        return jsonInPieces(context, await analyse(), sixDigits);
      }
      return streamSSE(context, async (stream) => {
        stream.onAbort(() => gone.abort());
        const tell = (event: string, data: unknown) => stream.writeSSE({ event, data: JSON.stringify(data) });
        try {
          const result = await analyse((step) => void tell('step', step));
          await stream.write('event: done\ndata: ');
          for await (const part of jsonParts(result, sixDigits)) await stream.write(part);
          await stream.write('\n\n');
        } catch (error) {
          await tell('failed', problemOf(error).problem);
        }
      });
    });
  }
}

/** Measurements in float32 have no more. */
const sixDigits = (value: number) => (Number.isInteger(value) ? value : Number(value.toPrecision(6)));
