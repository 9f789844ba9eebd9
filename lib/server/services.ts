/** What the routes work with. */
import type { Logger } from 'pino';

import type { BundlePool } from './bundlePool';
import type { Dispatcher } from './dispatcher';
import type { Metrics } from './metrics';
import type { ServerSettings } from './options';

export interface Services {
  settings: ServerSettings;
  bundles: BundlePool;
  jobs: Dispatcher;
  metrics: Metrics;
  log: Logger;
  /** Why no request for pictures can be taken now, in a sentence; null where it can. */
  obstacle: () => Promise<string | null>;
}
