/** Jobs in the memory of this process, run one after the other. */
import { fitsTogether } from './batch';
import type { Dispatcher } from './dispatcher';
import { timerLength } from './grace';
import { Job, type JobState, type JobSummary } from './job';
import { forgetOld, type Keeping } from './keeping';
import { problemOf, ServerError } from './problem';
import type { ImageRequest } from './request';

export interface LocalDispatcherOptions extends Keeping {
  maxQueue: number;
  /** Jobs that may be run as one. */
  batch: number;
  /**
   * Runs jobs that fit together and ends each of them; does not throw. Calls `onSampled` when the model is free, and
   * waits for it before it hands out pictures.
   */
  run: (jobs: readonly Job[], onSampled: () => Promise<void>) => Promise<void>;
}

export class LocalDispatcher implements Dispatcher {
  readonly #jobs = new Map<string, Job>();
  readonly #waiting: Job[] = [];
  readonly #running = new Set<Job>();
  #isSampling = false;
  /** Ends when the pictures of the latest run are handed out. */
  #delivery: Promise<void> = Promise.resolve();
  #isClosing = false;
  /** Of the latest jobs that ended, for the estimate of Retry-After. */
  #secondsOfJob = 2;

  constructor(private readonly options: LocalDispatcherOptions) {}

  submit(bundle: string, request: ImageRequest): Promise<Job> {
    if (this.#isClosing) return Promise.reject(new ServerError('SHUTTING_DOWN', 'The server is about to stop.'));
    const { maxQueue } = this.options;
    if (this.#waiting.length >= maxQueue) {
      const seconds = Math.max(1, Math.ceil(this.#secondsOfJob));
      return Promise.reject(
        new ServerError('QUEUE_FULL', `${maxQueue} jobs wait already; try again in ${seconds} s.`, {
          'Retry-After': String(seconds),
        }),
      );
    }
    forgetOld(this.#jobs, this.options);
    const job = new Job(bundle, request);
    this.#jobs.set(job.id, job);
    const later = this.#waiting.findIndex((other) => priorityOf(other) > priorityOf(job));
    this.#waiting.splice(later < 0 ? this.#waiting.length : later, 0, job);
    this.#tellPositions(job);
    job.signal.addEventListener('abort', () => this.#giveUp(job), { once: true });
    this.#work();
    return Promise.resolve(job);
  }

  find(id: string): Promise<Job | null> {
    forgetOld(this.#jobs, this.options);
    return Promise.resolve(this.#jobs.get(id) ?? null);
  }

  list(state: JobState, limit: number): Promise<JobSummary[]> {
    const jobs = [...this.#jobs.values()].filter((job) => job.state === state).reverse();
    return Promise.resolve(jobs.slice(0, limit).map(({ summary }) => summary));
  }

  forget(job: Job): void {
    this.#jobs.delete(job.id);
  }

  waiting(): Promise<number> {
    return Promise.resolve(this.#waiting.length);
  }

  running(): number {
    return this.#running.size;
  }

  async close(graceSeconds: number): Promise<void> {
    this.#isClosing = true;
    const giveUp = (job: Job, message: string) =>
      job.fail(problemOf(new ServerError('SHUTTING_DOWN', message)).problem);
    for (const job of this.#waiting.splice(0)) giveUp(job, 'The server stopped before the job began.');
    const stop = () => {
      for (const job of this.#running) {
        job.cancel();
        giveUp(job, 'The server stopped before the job ended.');
      }
    };
    const timer = setTimeout(stop, timerLength(graceSeconds));
    await this.#delivery;
    clearTimeout(timer);
  }

  /** A job that is cancelled before its turn; one that runs ends by its signal. */
  #giveUp(job: Job): void {
    const at = this.#waiting.indexOf(job);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    job.endCancelled();
    this.#tellPositions();
  }

  #work(): void {
    if (this.#isSampling) return;
    const first = this.#waiting.shift();
    if (!first) return;
    const jobs = [first];
    for (const other of [...this.#waiting]) {
      if (jobs.length >= this.options.batch) break;
      if (!fitsTogether(first, other)) continue;
      this.#waiting.splice(this.#waiting.indexOf(other), 1);
      jobs.push(other);
    }
    this.#isSampling = true;
    for (const job of jobs) {
      this.#running.add(job);
      job.start();
    }
    this.#tellPositions();
    const started = performance.now();
    // The next jobs are sampled while the pictures of these are encoded; pictures come in the order of their jobs.
    const earlier = this.#delivery;
    this.#delivery = this.options
      .run(jobs, async () => {
        await earlier;
        this.#secondsOfJob = 0.7 * this.#secondsOfJob + 0.3 * ((performance.now() - started) / 1000);
        this.#isSampling = false;
        this.#work();
      })
      .then(() => {
        for (const job of jobs) this.#running.delete(job);
      });
  }

  /** @param from of this job and those after it */
  #tellPositions(from = this.#waiting[0]): void {
    for (let at = from ? this.#waiting.indexOf(from) : 0; at < this.#waiting.length; at++) {
      this.#waiting[at]!.tell('queued', { position: at + 1 });
    }
  }
}

/** 1 goes before 2, and 2 before none. */
const priorityOf = ({ request }: Job) => request.priority ?? Infinity;
