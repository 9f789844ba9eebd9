/** One request for pictures, from its acceptance to its pictures, with everything that a client may be told of it. */
import { randomUUID } from 'node:crypto';

import type { Plan } from '../plan';

import type { JobEvent, JobEvents, PictureLink } from './jobEvents';
import type { Problem } from './problem';
import { emptyRequest, type ImageRequest } from './request';

/** What has become of a job. */
export type JobState = 'queued' | 'running' | 'done' | 'failed' | 'cancelled';

/** A job as a list has it. */
export interface JobSummary {
  id: string;
  bundle: string;
  state: JobState;
  /** ISO 8601. */
  created: string;
  ended: string | null;
  error?: Problem;
}

/** What a picture is. */
export interface PictureFacts {
  seed: number;
  width: number;
  height: number;
  /** Of a video; 1 for a picture. */
  frames: number;
  /** Frames a second of a video; null for a picture. */
  frameRate: number | null;
}

/** A picture as PNG, a video as animated PNG, its plan in its metadata. */
export interface JobPicture extends PictureFacts {
  png: Uint8Array;
}

/** The pictures of a job as they can be fetched. */
export const linksOf = (id: string, images: readonly JobPicture[]): PictureLink[] =>
  images.map(({ png: _png, ...facts }, at) => ({ ...facts, url: `/v1/jobs/${id}/images/${at}` }));

export interface JobResult {
  images: JobPicture[];
  plan: Plan;
  /** Branch evaluations of the model, summed over steps and pictures. */
  evaluations: number;
  /** From its turn to its pictures. */
  seconds: number;
}

/** Of a job that has ended: its plan, and what it told. */
const bytesBesidePictures = 2 ** 16;

const endings: ReadonlySet<string> = new Set(['done', 'failed', 'cancelled']);
/** Of which only the latest is worth telling to who comes late, or reads slowly. */
const superseded: ReadonlySet<string> = new Set(['queued', 'progress', 'step', 'preview']);

export class Job {
  readonly created = Date.now();
  /** When it ended; null before. */
  ended: number | null = null;
  state: JobState = 'queued';
  result: JobResult | null = null;
  problem: Problem | null = null;
  readonly #abort = new AbortController();
  readonly #events: JobEvent[] = [];
  readonly #listeners = new Set<() => void>();
  /** Told when somebody begins to read its events, and when nobody does any more. */
  onFollow: (() => void) | null = null;
  #readers = 0;
  #waiters = 0;
  #next: number;

  constructor(
    /** Name of the bundle. */
    readonly bundle: string,
    public request: ImageRequest,
    readonly id: string = randomUUID(),
    /** Number of its first event. */
    firstEvent = 1,
  ) {
    this.#next = firstEvent;
  }

  /** Aborts when the job is cancelled. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get hasEnded(): boolean {
    return this.ended !== null;
  }

  /** Whether somebody waits for its end, to answer with what it comes to. */
  get isAwaited(): boolean {
    return this.#waiters > 0;
  }

  /** Number of the latest event; nothing follows it when the job has ended. */
  get latestEvent(): number {
    return this.#next - 1;
  }

  /** Whether somebody reads its events. */
  get isFollowed(): boolean {
    return this.#readers > 0;
  }

  /** Of memory, when it has ended: its pictures, and the rest by estimate. */
  get bytes(): number {
    return (this.result?.images ?? []).reduce((sum, { png }) => sum + png.length, bytesBesidePictures);
  }

  get summary(): JobSummary {
    const { id, bundle, state, created, ended, problem } = this;
    return {
      id,
      bundle,
      state,
      created: new Date(created).toISOString(),
      ended: ended === null ? null : new Date(ended).toISOString(),
      ...(problem ? { error: problem } : {}),
    };
  }

  cancel(): void {
    if (!this.hasEnded) this.#abort.abort();
  }

  tell<Name extends keyof JobEvents>(name: Name, data: JobEvents[Name]): void {
    if (this.hasEnded) return;
    if (superseded.has(name)) {
      const earlier = this.#events.findIndex((event) => event.name === name);
      if (earlier >= 0) this.#events.splice(earlier, 1);
    }
    this.#events.push({ id: this.#next++, name, data } as JobEvent);
    if (endings.has(name)) {
      this.ended = Date.now();
      // It can be megabytes, and nobody needs it any more.
      this.request = emptyRequest;
    }
    for (const listener of this.#listeners) listener();
  }

  start(): void {
    if (this.hasEnded) return;
    this.state = 'running';
    this.tell('started', { bundle: this.bundle });
  }

  finish(result: JobResult): void {
    if (this.hasEnded) return;
    this.state = 'done';
    this.result = result;
    const { images, evaluations, seconds } = result;
    this.tell('done', { images: linksOf(this.id, images), evaluations, seconds });
  }

  fail(problem: Problem): void {
    if (this.hasEnded) return;
    this.state = 'failed';
    this.problem = problem;
    this.tell('failed', problem);
  }

  endCancelled(): void {
    if (this.hasEnded) return;
    this.state = 'cancelled';
    this.tell('cancelled', {});
  }

  /** Settles when the job has ended. */
  settled(): Promise<void> {
    this.#waiters++;
    return new Promise((resolve) => {
      this.whenEnded(() => {
        this.#waiters--;
        resolve();
      });
    });
  }

  /** Calls back when the job has ended, for who notes that and does not wait for it. */
  whenEnded(callback: () => void): void {
    const look = () => {
      if (!this.hasEnded) return;
      this.#listeners.delete(look);
      callback();
    };
    this.#listeners.add(look);
    look();
  }

  /**
   * The events after the one with the number `last`, as they come, up to the one that ends the job. A slow reader gets
   * the latest of each kind and does not hold up the job.
   */
  async *events(last = 0, signal?: AbortSignal): AsyncGenerator<JobEvent> {
    if (++this.#readers === 1) this.onFollow?.();
    try {
      yield* this.news(last, signal);
    } finally {
      if (--this.#readers === 0) this.onFollow?.();
    }
  }

  /** The same, for who passes them on and is nobody for whom a preview is made. */
  async *news(last = 0, signal?: AbortSignal): AsyncGenerator<JobEvent> {
    // What this server has not told yet was told by another one, which counted by itself.
    let cursor = last <= this.latestEvent ? last : 0;
    while (!signal?.aborted) {
      const event = this.#events.find(({ id }) => id > cursor);
      if (event) {
        cursor = event.id;
        yield event;
        if (endings.has(event.name)) return;
      } else if (this.hasEnded) {
        return;
      } else {
        await this.#change(signal);
      }
    }
  }

  #change(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#listeners.delete(done);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      this.#listeners.add(done);
      signal?.addEventListener('abort', done, { once: true });
    });
  }
}
