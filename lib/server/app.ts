/** The routes together, with what holds for all of them. */
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { cors } from 'hono/cors';
import { routePath } from 'hono/route';
import { serveStatic } from '@hono/node-server/serve-static';

import { requireOwnHost, requireToken } from './guard';
import { problemOf, ServerError } from './problem';
import { analysisRoutes } from './routes/analysis';
import { bundleRoutes } from './routes/bundles';
import { imageRoutes, JobFailed } from './routes/images';
import { jobRoutes } from './routes/jobs';
import { openAiRoutes } from './routes/openai';
import { planRoutes } from './routes/plan';
import { systemRoutes } from './routes/system';
import type { Services } from './services';

const guarded = ['/v1/*', '/metrics', '/openapi.json'];

export function createApp(services: Services): Hono {
  const { settings, metrics, log } = services;
  const app = new Hono();
  app.use(async (context, next) => {
    const started = performance.now();
    await next();
    const { method, path } = context.req;
    const { status } = context.res;
    metrics.answered(routePath(context), status);
    log.debug({ method, path, status, ms: Math.round(performance.now() - started) }, 'request');
  });
  if (settings.origins.length > 0) {
    const origin = settings.origins.includes('*') ? '*' : settings.origins;
    // Any header of a request: clients of OpenAI's interface send some of their own.
    app.use('/v1/*', cors({ origin, exposeHeaders: ['Location', 'Retry-After', 'X-Job', 'X-Seed'] }));
  }
  const guard = settings.token === undefined ? requireOwnHost(settings) : requireToken(settings.token);
  for (const path of guarded) app.use(path, guard);
  const refuse = () => {
    throw new ServerError('BODY_TOO_LARGE', `body: expected at most ${settings.maxBody} bytes.`);
  };
  app.use('/v1/*', bodyLimit({ maxSize: settings.maxBody, onError: refuse }));

  for (const routes of [imageRoutes, jobRoutes, bundleRoutes, planRoutes, analysisRoutes, openAiRoutes, systemRoutes]) {
    routes(app, services);
  }
  if (settings.page !== undefined) app.use('*', serveStatic({ root: settings.page }));

  app.notFound((context) => {
    const { method, path } = context.req;
    const methods = methodsAt(app, path);
    if (methods.length === 0) throw new ServerError('NOT_FOUND', `There is no ${method} ${path}.`);
    const Allow = methods.join(', ');
    if (method === 'OPTIONS') return context.body(null, 204, { Allow });
    throw new ServerError('METHOD_NOT_ALLOWED', `${path}: expected ${Allow}, received ${method}.`, { Allow });
  });
  app.onError((error, context) => {
    const { problem, status, headers } = error instanceof JobFailed ? error.answer : problemOf(saidBy(error));
    if (problem.code === 'INTERNAL') log.error({ err: error }, 'a request failed');
    return context.json({ error: problem }, status, headers);
  });
  return app;
}

/** What may be asked of a path; nothing where there is none. */
function methodsAt({ routes }: Hono, path: string): string[] {
  const isHere = (route: string) =>
    new RegExp(`^${route.replaceAll('.', '\\.').replaceAll(/:\w+/g, '[^/]+')}$`).test(path);
  // ALL is what holds for several routes.
  const methods = routes.filter((route) => route.method !== 'ALL' && isHere(route.path)).map(({ method }) => method);
  if (methods.includes('GET')) methods.push('HEAD');
  return [...new Set(methods)].sort();
}

/** A client that leaves in the middle of its body is no failure of ours. */
function saidBy(error: NodeJS.ErrnoException): Error {
  if (error.code !== 'ECONNRESET') return error;
  return new ServerError('BAD_REQUEST', 'body: expected all of it, received a part.');
}
