/** A sampling run that is there for its hidden states. */
import type { Execution, NativeModel, NativePlan, NativeProgress, NativeRun, Site } from '../native';
import type { EditContext } from '../guidance';
import type { ActivationRequest } from './options';
import type { Seed } from '../request/seeds';
import type { Plan } from '../plan';
import { stepEvent } from '../request/stepEvent';
import type { Queue } from '../model/queue';
import type { Tensor } from '../tensor';

import { decodeRecords, type ActivationRecord } from './record';
import { recordingOf } from './recording';
import { streamRecords } from './stream';

/** What a recorded run arrives at, apart from its records. */
export interface RecordedSampling {
  /** The sampler's final state, float32 [images, channels, height, width]; may hold NaN, unlike that of `generate`. */
  latents: Tensor;
  /** Seed of each image. */
  seeds: Seed[];
  plan: Plan;
  /** How it was computed. */
  execution: Execution;
  /** Branch evaluations of the model, summed over steps and images. */
  evaluations: number;
}

/** What the run needs of its pipeline. */
export interface Runner {
  model: NativeModel;
  sites: readonly Site[];
  /** What places are resolved against. */
  context: EditContext;
  plan: Plan;
  seeds: Seed[];
  /** Waits its turn, prepares the plan, runs, and settles after the native side has unwound. */
  run<Result>(start: (prepared: NativePlan) => NativeRun<Result>, signal: AbortSignal): Promise<Result>;
  /** The calls that wait for this one. */
  queue: Pick<Queue, 'isWaitedFor' | 'onWaiting'>;
}

/** @throws what recordingOf throws, before anything runs */
export function recordSampling(
  request: ActivationRequest,
  { model, sites, context, plan, seeds, run, queue }: Runner,
): AsyncGenerator<ActivationRecord, RecordedSampling, undefined> {
  const recording = recordingOf(request, plan, model, sites, context);
  const names = plan.branches.map(({ name }) => name);
  return streamRecords(
    (deliver, waitedFor) => {
      const left = new AbortController();
      const signals = [request.signal, request.generate.signal, left.signal].filter((signal) => signal !== undefined);
      const signal = AbortSignal.any(signals);
      const { onStep } = request.generate;
      let thrown: { error: unknown } | null = null;
      let release = (): void => undefined;
      const sampled = run((prepared) => {
        const sampling = model.sample({ ...prepared, recording }, onStep && ((progress) => report(progress)), deliver);
        const report = (progress: NativeProgress): void => {
          if (signal.aborted) return;
          try {
            onStep?.(stepEvent(progress, plan));
          } catch (error) {
            thrown = { error };
            left.abort();
          }
        };
        release = () => sampling.release();
        return sampling;
      }, signal);
      const unsubscribe = queue.onWaiting(waitedFor);
      const finished = sampled
        .then(
          (result) => ({ ...result, seeds, plan }),
          (error: unknown) => {
            throw thrown ? thrown.error : error;
          },
        )
        .finally(unsubscribe);
      return {
        finished,
        release: () => release(),
        cancel: () => left.abort(),
        isWaitedFor: () => queue.isWaitedFor,
      };
    },
    (records) => decodeRecords(records, recording, sites, names),
  );
}
