/** What Prometheus reads at `/metrics`. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

import { memoryStatistics } from '../model/device';

import type { JobState } from './job';

export interface Sources {
  waiting: () => Promise<number>;
  running: () => number;
  loadedBytes: () => number;
  /** 'cpu' or 'cuda:N'; null before anything was loaded. */
  device: () => string | null;
}

export class Metrics {
  readonly registry = new Registry();
  readonly #jobs: Counter<'state'>;
  readonly #picture: Histogram<'bundle'>;
  readonly #step: Histogram<'bundle'>;
  readonly #requests: Counter<'route' | 'status'>;

  constructor(sources: Sources) {
    const registers = [this.registry];
    const gauge = (name: string, help: string, read: () => number | Promise<number>) =>
      new Gauge({
        name: `detail_guidance_${name}`,
        help,
        registers,
        async collect() {
          this.set(await read());
        },
      });
    gauge('queue_length', 'Jobs that wait.', sources.waiting);
    gauge('jobs_running', 'Jobs that run.', sources.running);
    gauge('weights_bytes', 'Bytes of the weights that are loaded.', sources.loadedBytes);
    gauge('resident_bytes', 'Resident memory of the process.', () => process.memoryUsage.rss());
    gauge('device_allocated_bytes', 'Memory in tensors on the CUDA device; 0 on a CPU.', async () => {
      const device = sources.device();
      return (device?.startsWith('cuda') && (await memoryStatistics(device))?.allocated) || 0;
    });
    this.#jobs = new Counter({
      name: 'detail_guidance_jobs_total',
      help: 'Jobs that have ended.',
      labelNames: ['state'],
      registers,
    });
    this.#picture = new Histogram({
      name: 'detail_guidance_picture_seconds',
      help: 'Seconds of a picture, from its turn to its PNG.',
      labelNames: ['bundle'],
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180],
      registers,
    });
    this.#step = new Histogram({
      name: 'detail_guidance_step_seconds',
      help: 'Seconds between two steps of the sampler.',
      labelNames: ['bundle'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
      registers,
    });
    this.#requests = new Counter({
      name: 'detail_guidance_http_requests_total',
      help: 'Answers, by route and status.',
      labelNames: ['route', 'status'],
      registers,
    });
  }

  ended(state: JobState): void {
    this.#jobs.inc({ state });
  }

  pictures(bundle: string, count: number, seconds: number): void {
    for (let picture = 0; picture < count; picture++) this.#picture.observe({ bundle }, seconds / count);
  }

  step(bundle: string, seconds: number): void {
    this.#step.observe({ bundle }, seconds);
  }

  answered(route: string, status: number): void {
    this.#requests.inc({ route, status: String(status) });
  }
}
