/** What operators and their tools ask: is it alive, is it ready, how is it doing, what does it speak. */
import type { Hono } from 'hono';

import { openApiDocument } from '../openApi';
import type { Services } from '../services';

export function systemRoutes(app: Hono, { obstacle, metrics }: Services): void {
  app.get('/healthz', (context) => context.json({ status: 'alive' }));

  app.get('/readyz', async (context) => {
    const reason = await obstacle();
    return reason === null ? context.json({ status: 'ready' }) : context.json({ status: 'not ready', reason }, 503);
  });

  app.get('/metrics', async (context) =>
    context.body(await metrics.registry.metrics(), 200, { 'Content-Type': metrics.registry.contentType }),
  );

  app.get('/openapi.json', (context) => context.json(openApiDocument()));
}
