/** The server-sent events of a job. Read by fetch, which unlike EventSource can carry a token. */
import { call, reachability, Refused, Unreachable } from './client';
import { pause } from './pause';
import type { AnalysisStep, JobEvents, Problem } from './types';

export type JobEvent = {
  [Name in keyof JobEvents]: { id: number; name: Name; data: JobEvents[Name] };
}[keyof JobEvents];

const endings: ReadonlySet<string> = new Set(['done', 'failed', 'cancelled']);

/**
 * All events up to the one that ends the job. A connection that breaks is taken up again where it broke off.
 *
 * @throws Refused for a job that the server does not know (any more)
 */
export async function* jobEvents(job: string, signal: AbortSignal): AsyncGenerator<JobEvent> {
  let last = 0;
  while (!signal.aborted) {
    try {
      const response = await call(`/v1/jobs/${job}/events`, { signal, headers: { 'Last-Event-ID': String(last) } });
      for await (const told of parse(response.body!)) {
        const event = told as JobEvent;
        last = event.id;
        yield event;
        if (endings.has(event.name)) return;
      }
    } catch (error) {
      // What breaks while it is read is a TypeError of the browser's.
      if (signal.aborted) return;
      if (!(error instanceof Unreachable) && !(error instanceof TypeError)) throw error;
    }
    await pause(1000, signal);
  }
}

/** Asks for an analysis, and tells how far it is. @throws Refused; Unreachable, also when the server goes in between */
export async function analyse(
  name: string,
  request: object,
  signal: AbortSignal,
  onStep: (step: AnalysisStep) => void,
): Promise<unknown> {
  const headers = { 'Content-Type': 'application/json', Accept: 'text/event-stream' };
  const body = JSON.stringify(request);
  const response = await call(`/v1/analysis/${name}`, { method: 'POST', headers, body, signal });
  try {
    for await (const event of parse(response.body!)) {
      if (event.name === 'done') return event.data;
      if (event.name === 'failed') throw new Refused(response.status, event.data as Problem);
      onStep(event.data as AnalysisStep);
    }
  } catch (error) {
    // What breaks while it is read is a TypeError of the browser's.
    if (!(error instanceof TypeError)) throw error;
  }
  reachability.onSilence();
  throw new Unreachable();
}

/** What a stream of server-sent events says; its signs of life say nothing. */
async function* parse(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<{ id: number; name: string; data: unknown }> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (text + value).split('\n\n');
    text = blocks.pop()!;
    for (const block of blocks) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
      const data = field('data');
      if (data === undefined) continue;
      yield { id: Number(field('id')), name: field('event') ?? '', data: JSON.parse(data) as unknown };
    }
  }
}
