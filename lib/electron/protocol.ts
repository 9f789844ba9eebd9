/** The messages: what a caller (a window, the main process) and the process that has the pipeline say to each other. */
import type { PhaseEvent, StepEvent } from '../request/stepEvent';
import type { Warning } from '../request/warning';
import type { ServerOptions } from '../server/options';
import type { LoadOptions } from '../model/loadOptions';

import type { Outcome, PipelineInfo, Problem, ProcessPlan, ProcessResult } from './types';

/** What can be called, and what it gives. */
export interface Answers {
  info: PipelineInfo;
  plan: ProcessPlan;
  generate: ProcessResult;
  /** Answered when the last step was read; steps are asked for one by one. */
  stream: ProcessResult;
}

export type CallName = keyof Answers;

/** To the process that has the pipeline, over a caller's port. */
export type CallerMessage =
  | { id: number; call: CallName; options: unknown; listens: EventName[] }
  /** Of a stream: the next step is wanted. */
  | { id: number; next: true }
  | { id: number; stop: true };

export interface Events {
  step: StepEvent;
  phase: PhaseEvent;
  warning: Warning;
}

export type EventName = keyof Events;

/** Back from it. */
export type ServiceMessage =
  | { [Name in EventName]: { id: number; event: Name; data: Events[Name] } }[EventName]
  | { id: number; outcome: Outcome<unknown> };

/** A request to the server, over the main process's port. */
export type RequestMessage =
  | { id: number; request: { method: string; url: string; headers: [string, string][]; body: Uint8Array | null } }
  /** Whoever asked is gone. */
  | { id: number; stop: true };

/** Its answer, in pieces as they come. */
export type ResponseMessage =
  | { id: number; head: { status: number; headers: [string, string][] } }
  | { id: number; chunk: Uint8Array }
  | { id: number; end: Problem | null };

/** What a process is started with. */
export type StartMessage =
  { start: 'pipeline'; location: string; options: LoadOptions } | { start: 'server'; options: ServerOptions };

/** From the main process to the one that it started; `connect` brings a port along. */
export type MainMessage = StartMessage | { connect: number } | { dispose: true };

/** And back. */
export type ProcessMessage =
  | { started: PipelineInfo | null }
  | { failed: Problem }
  /** How far the calls of a caller are, from 0 to 1; null when none runs. */
  | { progress: number | null; caller: number };

/** Channels between a window's preload script and the main process. */
export const channels = {
  /** From the main process: there is something to connect to. */
  offered: 'detail-guidance:offered',
  /** From the page: a port, please. */
  connect: 'detail-guidance:connect',
  /** From the main process, with the port. */
  port: 'detail-guidance:port',
  /** From the main process: the process behind the port has ended. */
  ended: 'detail-guidance:ended',
  /** The native dialogs. */
  open: 'detail-guidance:open',
  save: 'detail-guidance:save',
  /** The studio's gallery. */
  galleryList: 'detail-guidance:gallery-list',
  galleryRead: 'detail-guidance:gallery-read',
  galleryWrite: 'detail-guidance:gallery-write',
  galleryRemove: 'detail-guidance:gallery-remove',
} as const;
