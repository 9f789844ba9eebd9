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
  /** Whether requests for pictures can be taken now. */
  isReady: () => boolean;
}
