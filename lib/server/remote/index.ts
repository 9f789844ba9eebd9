/** Many machines: a server that puts jobs into Redis, and workers that take them. */
import type { BundlePool } from '../bundlePool';
import type { Dispatcher } from '../dispatcher';

import { bundleChecksum } from './protocol';
import { RedisDispatcher, type RedisDispatcherOptions } from './redisDispatcher';
import { openResultStore } from './resultStore';

export { createWorker, type Worker } from './worker';

/** The dispatcher of a server whose jobs are run elsewhere: it loads no model for them. */
export async function openRemote(
  {
    results,
    ...options
  }: Pick<RedisDispatcherOptions, 'redis' | 'maxQueue' | 'keepSeconds' | 'keepBytes' | 'log' | 'metrics'> & {
    results: string;
  },
  bundles: BundlePool,
): Promise<Dispatcher> {
  const checksums = new Map<string, string>();
  for (const name of bundles.names) checksums.set(name, bundleChecksum(await bundles.manifest(name)));
  return RedisDispatcher.open({ ...options, store: await openResultStore(results), checksums });
}
