/** The options of `createServer` and of `detail-guidance serve`. */
import { z } from 'zod';

import { presetBundle } from './bundleName';
import { loadSchema, type LoadOptions } from '../model/loadOptions';
import { invalid } from '../validation/invalid';
import { choice, flag, list, strictObject, text, whole } from '../validation/vocabulary';

/** What `createServer` takes. */
export interface ServerOptions {
  /**
   * Bundles to offer: folders, or `'embedded'`. The first is the one that a request without `bundle` gets.
   * Default: `['embedded']`.
   */
  bundles?: string[];
  /** How bundles are loaded. Default: as `loadPipeline` does. */
  load?: Pick<LoadOptions, 'device' | 'devices' | 'dtype' | 'lowMemory' | 'offload' | 'fuse'>;
  /** Address to listen at. Default `'127.0.0.1'`; any other one needs a `token`. */
  host?: string;
  /** TCP port; 0 takes any that is free. Default 7860. */
  port?: number;
  /**
   * Bearer token that every request but `/healthz` and `/readyz` has to carry: at least 8 characters of ASCII. Default: none.
   */
  token?: string;
  /** Jobs that may wait; one more is answered with 429. From 1 to 100 000. Default 64. */
  maxQueue?: number;
  /** Requests of the same structure that may share an evaluation of the model. 1 keeps bytes as they are. Default 1. */
  batch?: number;
  /** Bytes of weights that may be loaded at once: bundles that were not used lately are unloaded. Default: no limit. */
  memoryLimit?: number;
  /** Largest body of a request, in bytes. Default 32 MiB. */
  maxBody?: number;
  /**
   * Most pixels of a picture that is made, width times height times frames, whether the request names them or the bundle.
   * Default: for each bundle 2048 x 2048, or what it makes by itself where that is more.
   */
  maxPixels?: number;
  /** Most pixels of a picture that is given, before it is resized: width times height. Default 8192 x 8192. */
  maxInputPixels?: number;
  /** Most pictures of a request. Default 16. */
  maxImages?: number;
  /** Most steps of a request. Default 250. */
  maxSteps?: number;
  /** Seconds for which a job that has ended, and its pictures, can be asked for. Default 600. */
  keepSeconds?: number;
  /** Bytes of pictures of jobs that have ended that stay in memory: beyond them the oldest go first. Default 256 MiB. */
  keepBytes?: number;
  /** Seconds in which a request has to arrive, and in which a client has to take some of its answer. Default 60. */
  clientSeconds?: number;
  /** Origins that browsers may call from (CORS): exact origins, or `'*'`. Default: none. */
  origins?: string[];
  /** Whether prompts are written to the log. Default false. */
  logPrompts?: boolean;
  /** Least severe level of the log, as pino names them. Default `'info'`. */
  logLevel?: 'silent' | 'error' | 'warn' | 'info' | 'debug';
  /** Folder of a built page to serve at `/`. Default: none. */
  page?: string;
  /** Put jobs into this Redis, for workers on any machine, in place of running them here. Needs `results`. */
  redis?: string;
  /** Where workers put pictures and the server finds them: a folder that all reach, or `s3://bucket/prefix`. */
  results?: string;
}

/** What `createWorker` takes. */
export interface WorkerOptions extends Pick<
  ServerOptions,
  'bundles' | 'load' | 'memoryLimit' | 'keepSeconds' | 'logLevel'
> {
  /** URL of the Redis that servers put jobs into. */
  redis: string;
  /** Where pictures go: a folder that all machines reach, or `s3://bucket/prefix`. */
  results: string;
}

/** Whatever else it is, no two clients send it as the same bytes. */
const tokenForm = 'at least 8 characters of ASCII, the first and the last no space';

const tokenSchema = text(tokenForm)
  .min(8, tokenForm)
  .regex(/^[!-~]([ -~]*[!-~])?$/, tokenForm);

/** Before the other options: what does not fit is not shown, as it may be somebody's secret. @throws BAD_OPTION */
export function checkToken(token: unknown): void {
  if (token === undefined || tokenSchema.safeParse(token).success) return;
  const shown = typeof token === 'string' ? `one of ${token.length} characters` : typeof token;
  throw invalid('options.token', tokenForm, undefined, { shown });
}

const originForm = "an origin such as https://example.org, without a path, or '*'";

/** As browsers send it: the end of a URL, or a letter in upper case, would let nobody in. */
function isOrigin(text: string): boolean {
  if (text === '*') return true;
  if (!URL.canParse(text)) return false;
  const { origin, protocol, host } = new URL(text);
  // Of an application's own scheme, whose origin is opaque to others.
  return text === (origin === 'null' ? `${protocol}//${host}` : origin) && host !== '';
}

export const serverSchema = strictObject({
  bundles: list(text('the folder of a bundle'), "a list of bundles' folders").default([presetBundle]),
  load: strictObject({
    device: loadSchema.shape.device,
    devices: loadSchema.shape.devices,
    dtype: loadSchema.shape.dtype,
    lowMemory: loadSchema.shape.lowMemory,
    offload: loadSchema.shape.offload,
    fuse: loadSchema.shape.fuse,
  })
    .partial()
    .default({}),
  host: text('a host name or address').default('127.0.0.1'),
  port: whole(0, 65_535).default(7860),
  token: tokenSchema.optional(),
  maxQueue: whole(1, 100_000).default(64),
  batch: whole(1, 256).default(1),
  memoryLimit: whole(1).optional(),
  maxBody: whole(1024, 2 ** 31).default(32 * 2 ** 20),
  maxPixels: whole(1, 2 ** 40).optional(),
  maxInputPixels: whole(1, 2 ** 31).default(8192 * 8192),
  maxImages: whole(1, 4096).default(16),
  maxSteps: whole(1, 1000).default(250),
  keepSeconds: whole(1, 86_400).default(600),
  keepBytes: whole(1).default(2 ** 28),
  clientSeconds: whole(1, 86_400).default(60),
  origins: z.array(text(originForm).refine(isOrigin, originForm), { error: 'a list of origins' }).default([]),
  logPrompts: flag().default(false),
  logLevel: choice(['silent', 'error', 'warn', 'info', 'debug']).default('info'),
  page: text('a folder').optional(),
  redis: text('the URL of a Redis').optional(),
  results: text('a folder, or s3://bucket/prefix').optional(),
}) satisfies z.ZodType<unknown, ServerOptions>;

export type ServerSettings = z.output<typeof serverSchema>;

const { bundles, load, memoryLimit, keepSeconds, logLevel } = serverSchema.shape;

export const workerSchema = strictObject({
  bundles,
  load,
  memoryLimit,
  keepSeconds,
  logLevel,
  redis: text('the URL of a Redis'),
  results: text('a folder, or s3://bucket/prefix'),
}) satisfies z.ZodType<unknown, WorkerOptions>;
