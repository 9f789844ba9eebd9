/** What a job tells its client while it waits and runs, as server-sent events. */
import type { PhaseEvent, StepEvent } from '../request/stepEvent';

import type { Problem } from './problem';

/** The job waits. */
export interface QueuedEvent {
  /** Its place among those that wait, from 1. */
  position: number;
}

/** The job's turn has come. */
export interface StartedEvent {
  /** Name of the bundle that makes its pictures. */
  bundle: string;
}

/** The current estimate of a picture. */
export interface PreviewEvent {
  /** The step that was just taken, from 1. */
  step: number;
  /** Which picture of the job, from 0. */
  image: number;
  /** In pixels. */
  width: number;
  /** In pixels. */
  height: number;
  /** A PNG, in base64. */
  png: string;
}

/** What the client should know and that does not stop the job. */
export interface WarningEvent {
  /** Which warning. */
  code: string;
  /** A whole sentence. */
  message: string;
}

/** A picture that can be fetched. */
export interface PictureLink {
  /** It was made from. */
  seed: number;
  /** In pixels. */
  width: number;
  /** In pixels. */
  height: number;
  /** Of a video; 1 for a picture. */
  frames: number;
  /** Frames a second of a video; null for a picture. */
  frameRate: number | null;
  /** Where its PNG is, on this server; of a video it is animated. */
  url: string;
}

/** The job has its pictures. */
export interface DoneEvent {
  /** In the order of the request. */
  images: PictureLink[];
  /** Branch evaluations of the model, summed over steps and pictures. */
  evaluations: number;
  /** From its turn to its pictures. */
  seconds: number;
}

/** What a job tells, by the name of the server-sent event. */
export interface JobEvents {
  /** The job waits. */
  queued: QueuedEvent;
  /** The job's turn has come. */
  started: StartedEvent;
  /** As `onProgress` is told. */
  progress: PhaseEvent;
  /** As `onStep` is told. */
  step: Omit<StepEvent, 'preview'>;
  /** The current estimate of a picture. */
  preview: PreviewEvent;
  /** What the client should know. */
  warning: WarningEvent;
  /** The job has its pictures. */
  done: DoneEvent;
  /** It ended with an error. */
  failed: Problem;
  /** It was cancelled. */
  cancelled: Record<string, never>;
}

/** One event of a job. */
export type JobEvent = {
  [Name in keyof JobEvents]: {
    /** Counts the events of a job, from 1 at the server that took it; `Last-Event-ID` goes on after one. */
    id: number;
    /** Which event. */
    name: Name;
    /** What it says. */
    data: JobEvents[Name];
  };
}[keyof JobEvents];
