/** `POST /v1/analysis/…`: what is inside the model, along its own trajectories. */
import type { Hono } from 'hono';

import { bundleFor } from '../accept';
import { analyses } from '../analyses';
import { readBody } from '../body';
import { followed, type AnalysisStep } from '../followed';
import { checkAnalysisLimits, type AnalysisSize } from '../limits';
import { preferredType } from '../mediaType';
import { jsonInPieces, jsonParts } from '../pieces';
import { problemOf } from '../problem';
import type { Services } from '../services';
import { streamEvents } from '../sse';
import { Visitors } from '../visitors';

const types = ['application/json', 'text/event-stream'] as const;

export function analysisRoutes(app: Hono, services: Pick<Services, 'bundles' | 'settings' | 'log'>): void {
  const { bundles, settings, log } = services;
  const visitors = new Visitors(settings.maxQueue, 'analyses');
  for (const [name, { schema, run }] of Object.entries(analyses)) {
    app.post(`/v1/analysis/${name}`, async (context) => {
      const request = (await readBody(context, schema)) as AnalysisSize & { bundle?: string };
      const bundle = await bundleFor(request, services, checkAnalysisLimits);
      visitors.check();
      const analyse = (signal: AbortSignal, onStep?: (step: AnalysisStep) => void) =>
        visitors.admit(() =>
          bundles.with(bundle, (pipeline) => run(onStep ? followed(pipeline, onStep) : pipeline, request, signal)),
        );
      // Who does not wait for the answer ends the work.
      const { signal } = context.req.raw;
      if (preferredType(context.req.header('accept'), types) !== 'text/event-stream') {
        return jsonInPieces(context, await analyse(signal), sixDigits);
      }
      return streamEvents(context, async (write, gone) => {
        const tell = (event: string, data: unknown) => write([`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`]);
        try {
          const result = await analyse(AbortSignal.any([signal, gone]), (step) => void tell('step', step));
          await write(doneEvent(result));
        } catch (error) {
          const { problem } = problemOf(error);
          if (problem.code === 'INTERNAL') log.error({ err: error }, 'an analysis failed');
          await tell('failed', problem);
        }
      });
    });
  }
}

async function* doneEvent(result: unknown): AsyncGenerator<string | Uint8Array> {
  yield 'event: done\ndata: ';
  yield* jsonParts(result, sixDigits);
  yield '\n\n';
}

/** Measurements in float32 have no more. */
const sixDigits = (value: number) => (Number.isInteger(value) ? value : Number(value.toPrecision(6)));
