/** The answering end of a port: a caller's calls, run on the pipeline of this process. */
import type { GenerateOptions } from '../request/generateOptions';
import type { GenerateResult } from '../call/result';
import type { Pipeline } from '../pipeline';

import type { Port } from './port';
import { problemOf } from './problem';
import type { CallerMessage, CallName, EventName, Events, ServiceMessage } from './protocol';
import type { PipelineInfo, PlainOptions, ProcessPlan, ProcessResult } from './types';

interface Running {
  abort: AbortController;
  /** Of a stream: the next step is wanted. */
  next(): void;
}

/**
 * Answers a caller until its port is closed, which ends what it has called.
 *
 * @param onProgress how far its calls are, from 0 to 1; null when none runs
 */
export function answerCalls(port: Port, pipeline: Pipeline, onProgress: (fraction: number | null) => void): void {
  const running = new Map<number, Running>();
  let isShown = false;

  const answer = async (message: CallerMessage): Promise<void> => {
    const { id } = message;
    if ('stop' in message) return running.get(id)?.abort.abort();
    if ('next' in message) return running.get(id)?.next();
    const run: Running = { abort: new AbortController(), next: () => undefined };
    running.set(id, run);
    const say = (reply: ServiceMessage) => port.post(reply);
    const tell = <Name extends EventName>(event: Name, data: Events[Name]) =>
      say({ id, event, data } as ServiceMessage);
    const options = (message.options ?? {}) as PlainOptions;
    const watched: GenerateOptions = {
      ...options,
      signal: run.abort.signal,
      onStep: (event) => {
        isShown = true;
        onProgress(event.fraction);
        if (message.listens.includes('step')) tell('step', event);
      },
      ...(message.listens.includes('phase') ? { onProgress: (event) => tell('phase', event) } : {}),
      ...(message.listens.includes('warning') ? { onWarning: (event) => tell('warning', event) } : {}),
    };
    try {
      const value = await answerOne(message.call, watched, run, (step) => tell('step', step), pipeline);
      say({ id, outcome: { ok: true, value } });
    } catch (error) {
      say({ id, outcome: { ok: false, error: problemOf(error) } });
    } finally {
      running.delete(id);
      if (running.size === 0 && isShown) onProgress(null);
      isShown &&= running.size > 0;
    }
  };

  port.onMessage((message) => void answer(message as CallerMessage));
  port.onClose(() => {
    for (const { abort } of running.values()) abort.abort();
  });
}

async function answerOne(
  call: CallName,
  options: GenerateOptions,
  run: Running,
  onStreamed: (step: Events['step']) => void,
  pipeline: Pipeline,
): Promise<PipelineInfo | ProcessPlan | ProcessResult> {
  switch (call) {
    case 'info':
      return infoOf(pipeline);
    case 'plan': {
      const planned = pipeline.plan(options);
      return { plan: { ...planned }, explanation: planned.explain() };
    }
    case 'generate':
      return resultOf(await pipeline.generate(options));
    case 'stream': {
      // Asked for before the stream begins, or while it waits.
      let demand = 0;
      let wake = (): void => undefined;
      run.next = () => {
        demand++;
        wake();
      };
      run.abort.signal.addEventListener('abort', () => wake());
      const steps = pipeline.stream(options);
      for (;;) {
        while (demand === 0 && !run.abort.signal.aborted) await new Promise<void>((resolve) => (wake = resolve));
        demand--;
        const { done, value } = await steps.next();
        if (done) return resultOf(value);
        onStreamed(value);
      }
    }
  }
}

export function infoOf({ bundle, device, dtype, size }: Pipeline): PipelineInfo {
  const { name, family, conditioning, latent, vae } = bundle;
  const scale = vae?.scale ?? 1;
  return {
    name,
    family,
    device,
    dtype,
    conditioning: conditioning.kind,
    classes:
      conditioning.kind === 'class'
        ? (conditioning.labels ?? Array.from({ length: conditioning.numClasses }, (_, at) => String(at)))
        : [],
    size: { width: latent.width * scale, height: latent.height * scale },
    blocks: size.blocks,
  };
}

async function resultOf({ images, plan, execution, evaluations }: GenerateResult): Promise<ProcessResult> {
  const pictures = [];
  for (const image of images) {
    const { seed, width, height } = image;
    pictures.push({ seed, width, height, png: new Uint8Array(await image.toPngAside()) });
  }
  return { images: pictures, plan, execution, evaluations };
}
