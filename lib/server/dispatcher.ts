/** Where jobs wait and who runs them: in this process (localDispatcher.ts), or on other machines (the Redis one). */
import type { Job, JobState, JobSummary } from './job';
import type { ImageRequest } from './request';

export interface Dispatcher {
  /**
   * Takes a request that has been validated.
   *
   * @throws QUEUE_FULL, SHUTTING_DOWN, QUEUE_UNAVAILABLE
   */
  submit(bundle: string, request: ImageRequest): Promise<Job>;
  /** A job that runs, waits, or has ended a short time ago; null for any other. */
  find(id: string): Promise<Job | null>;
  /** The latest jobs in this state, the newest first. */
  list(state: JobState, limit: number): Promise<JobSummary[]>;
  /** A job whose pictures have been handed out, and that nobody was told to ask for again. */
  forget(job: Job): void;
  /** Jobs that wait. */
  waiting(): Promise<number>;
  /** Jobs that run. */
  running(): number;
  /** Why no job can be taken, in a sentence, as far as that depends on others; null where it can. */
  obstacle?(): Promise<string | null>;
  /** Machines that take jobs, where there are others. */
  workers?(): Promise<unknown[]>;
  /** Ends what is waited for here and has not begun, lets what runs end within so many seconds, and aborts the rest. */
  close(graceSeconds: number): Promise<void>;
}
