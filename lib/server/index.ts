/** `detail-guidance/server`: pictures over HTTP. */
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { getRequestListener } from '@hono/node-server';
import pino from 'pino';

import { isPermitted } from '../files/permission';
import { DetailGuidanceError } from '../validation/errors';
import { checkObject, invalid, reasonOf } from '../validation/invalid';
import { parse } from '../validation/parse';

import { createApp } from './app';
import { BundlePool } from './bundlePool';
import type { Dispatcher } from './dispatcher';
import { timerLength } from './grace';
import { isLoopback } from './guard';
import { LocalDispatcher } from './localDispatcher';
import { answerMalformed, refuseMalformed } from './malformed';
import { Metrics } from './metrics';
import { checkToken, serverSchema, type ServerOptions } from './options';
import { openRemote } from './remote';
import { runJobs } from './runJobs';
import { Sockets } from './sockets';
import { closeStalled } from './stalled';

export type { ServerOptions, WorkerOptions } from './options';
export { createWorker, type Worker } from './remote';
export type { ImageRequestInput as ImageRequest, JsonTensor } from './request';
export type { JobState } from './job';
export type {
  DoneEvent,
  JobEvent,
  JobEvents,
  PictureLink,
  PreviewEvent,
  QueuedEvent,
  StartedEvent,
  WarningEvent,
} from './jobEvents';
export type { Problem } from './problem';

/**
 * Milliseconds for which a connection may wait for its next request. Longer than proxies keep theirs (a minute), which
 * would send a request into one that is being closed.
 */
const keepAliveTimeout = 75_000;

/** Milliseconds in which a connection of a server that stops has to get something more. */
const quietAfter = 1000;

/** A server that can be started and stopped. */
export interface Server {
  /**
   * Loads the first bundle and begins to listen.
   *
   * @returns where it listens, `http://127.0.0.1:7860`; again is fine
   * @throws what `loadPipeline` throws; BAD_OPTION when the address is taken; DISPOSED when it is closed meanwhile
   */
  listen(): Promise<string>;
  /**
   * Loads the first bundle, for who answers requests by `fetch` alone.
   *
   * @throws what `loadPipeline` throws
   */
  load(): Promise<void>;
  /** Answers a request without a network, as `fetch` would. */
  fetch(request: Request): Promise<Response>;
  /**
   * Refuses new requests, lets the job that runs end, and frees the models. Again is fine.
   *
   * @param graceSeconds after which what still runs is aborted; Infinity for never. Default 30
   */
  close(graceSeconds?: number): Promise<void>;
}

/**
 * An HTTP server for the pictures of some bundles.
 *
 * @throws BAD_OPTION, also for an address that others can reach without a token
 */
export function createServer(options: ServerOptions = {}): Server {
  checkObject(options, 'options', 'an object of options');
  checkToken(options.token);
  const settings = parse(serverSchema, options, 'options');
  if (!isLoopback(settings.host) && settings.token === undefined) {
    throw invalid('options.token', "a token where host is not this machine's own address", undefined);
  }
  if (settings.redis !== undefined && settings.results === undefined) {
    throw invalid('options.results', 'a folder, or s3://bucket/prefix, beside redis', undefined);
  }
  if (settings.results !== undefined && settings.redis === undefined) {
    throw invalid('options.redis', 'the URL of a Redis beside results, which are for workers', undefined);
  }
  const log = pino({ level: settings.logLevel });
  const bundles = new BundlePool(settings);
  let device: string | null = null;
  let isReady = false;
  const metrics: Metrics = new Metrics({
    waiting: () => jobs.waiting(),
    running: () => jobs.running(),
    loadedBytes: () => bundles.bytes,
    device: () => device,
  });
  const { maxQueue, batch, keepSeconds, keepBytes, redis, results } = settings;
  const workshop = { bundles, metrics, log, logPrompts: settings.logPrompts };
  let jobs: Dispatcher = new LocalDispatcher({
    maxQueue,
    batch,
    keepSeconds,
    keepBytes,
    run: (together, onSampled) => runJobs(together, workshop, onSampled),
  });
  const app = createApp({
    settings,
    bundles,
    get jobs() {
      return jobs;
    },
    metrics,
    log,
    obstacle: async () => {
      if (isReady) return (await jobs.obstacle?.()) ?? null;
      return closing ? 'The server is about to stop.' : 'The first bundle is not loaded yet.';
    },
  });
  let http: HttpServer | null = null;
  let sockets: Sockets | null = null;
  let closing: Promise<void> | null = null;

  const close = async (graceSeconds: number) => {
    isReady = false;
    const closed = new Promise<void>((resolve) => (http ? http.close(() => resolve()) : resolve()));
    const started = performance.now();
    await jobs.close(graceSeconds);
    // The last answers are under way; their connections, which clients keep, end with them. Who takes them slowly has the rest
    // of the grace for that, and what waits for more is cut off.
    const idle = setInterval(() => http?.closeIdleConnections(), 20);
    const quiet = setInterval(() => sockets?.closeQuiet(), quietAfter);
    const rest = graceSeconds - (performance.now() - started) / 1000;
    const timer = setTimeout(() => http?.closeAllConnections(), Math.max(2 * quietAfter, timerLength(rest)));
    await closed;
    clearInterval(idle);
    clearInterval(quiet);
    clearTimeout(timer);
    await bundles.close();
  };

  const open = async () => {
    if (redis === undefined) {
      device = await bundles.with(bundles.preferred, (pipeline) => Promise.resolve(pipeline.device));
    } else {
      const settingsOfQueue = { redis, results: results!, maxQueue, keepSeconds, keepBytes, log, metrics };
      const remote = await openRemote(settingsOfQueue, bundles);
      if (closing) await remote.close(0);
      else jobs = remote;
    }
  };
  let opening: Promise<void> | null = null;
  const requireOpen = () => {
    if (closing) throw new DetailGuidanceError('DISPOSED', 'The server was closed.');
  };
  const load = async () => {
    requireOpen();
    opening ??= open().catch((error: unknown) => {
      opening = null;
      throw error;
    });
    await opening.finally(requireOpen);
  };

  const bind = (): Promise<string> => {
    const { host, port } = settings;
    const unusable = (details: { cause?: Error; note: string }) =>
      invalid('host, port', 'an address to listen at', `${host}:${port}`, details);
    // Node throws this where nobody can catch it.
    if (!isPermitted('net')) {
      return Promise.reject(
        unusable({ note: "Node's permission model refuses it: start Node with --allow-net as well" }),
      );
    }
    // As it stands in a URL.
    const hostname = host.replace(/^\[(.*)\]$/, '$1');
    const patience = settings.clientSeconds * 1000;
    const serverOptions = {
      requestTimeout: patience,
      headersTimeout: Math.min(patience, 20_000),
      connectionsCheckingInterval: Math.min(patience / 2, 10_000),
      keepAliveTimeout,
    };
    const answer = getRequestListener(app.fetch, { hostname, errorHandler: answerMalformed });
    const server = createHttpServer(serverOptions, (incoming, outgoing) => void answer(incoming, outgoing));
    closeStalled(server, patience);
    sockets = new Sockets(server);
    refuseMalformed(server);
    http = server;
    return new Promise((resolve, reject) => {
      server.listen(port, hostname, () => {
        const { address, family, port: boundPort } = server.address() as AddressInfo;
        resolve(`http://${family === 'IPv6' ? `[${address}]` : address}:${boundPort}`);
      });
      server.once('error', (error: NodeJS.ErrnoException) => {
        reject(unusable({ cause: error, note: reasonOf(error) }));
      });
    });
  };
  let listening: Promise<string> | null = null;

  return {
    async load() {
      await load();
      isReady = true;
    },
    async listen() {
      await load();
      listening ??= bind().catch((error: unknown) => {
        listening = null;
        throw error;
      });
      const url = await listening;
      isReady = true;
      return url;
    },
    fetch: async (request) => app.fetch(request),
    close: (graceSeconds = 30) => (closing ??= close(graceSeconds)),
  };
}
