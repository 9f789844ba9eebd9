/** A sampling run that is there for its hidden states. */
import type { NativeModel, NativeRecording, NativeRecords, Site } from '../native';
import type { EditContext } from '../guidance';
import type { ActivationRequest } from './options';
import type { GeneratedImage, GenerateResult } from '../call/result';
import type { Seed } from '../request/seeds';
import type { Plan } from '../plan';
import { abortsWith } from '../model/abort';
import type { Queue } from '../model/queue';
import type { Tensor } from '../tensor';

import { decodeRecords, type ActivationRecord } from './record';
import { recordingOf } from './recording';
import { streamRecords } from './stream';

/** What a recorded run arrives at, apart from its records. */
export interface RecordedSampling extends Omit<GenerateResult, 'images'> {
  /** The sampler's final state, float32 [images, channels, height, width]; may hold NaN, unlike that of `generate`. */
  latents: Tensor;
  /** The pictures of the run, decoded when asked for. @throws MODEL_FAILED for latents with NaN, OUT_OF_MEMORY, DISPOSED */
  pictures(): Promise<GeneratedImage[]>;
}

/** Is told of records, which have been read when `read` is called. */
export type OnRecords = (records: NativeRecords, read: () => void) => void;

type Sampled = Awaited<ReturnType<NativeModel['sample']>['promise']>;

/** What the run needs of its pipeline. */
export interface Runner {
  model: NativeModel;
  sites: readonly Site[];
  /** What places are resolved against. */
  context: EditContext;
  plan: Plan;
  seeds: Seed[];
  /** Waits its turn, prepares the plan, samples, and settles after the native side has unwound. */
  run(recording: NativeRecording, onRecords: OnRecords, signal: AbortSignal): Promise<Sampled>;
  /** The pictures of what the run arrived at. */
  pictures(sampled: Sampled): Promise<GeneratedImage[]>;
  /** The calls that wait for this one. */
  queue: Pick<Queue, 'isWaitedFor' | 'onWaiting'>;
}

/** @throws what recordingOf throws, before anything runs */
export function recordSampling(
  request: ActivationRequest,
  { model, sites, context, plan, seeds, run, pictures, queue }: Runner,
): AsyncGenerator<ActivationRecord, RecordedSampling, undefined> {
  const recording = recordingOf(request, plan, model, sites, context);
  const names = plan.branches.map(({ name }) => name);
  return streamRecords(
    (deliver, waitedFor) => {
      const { controller, stop } = abortsWith([request.signal, request.generate.signal]);
      let release = (): void => undefined;
      const onRecords: OnRecords = (records, read) => {
        release = read;
        deliver(records);
      };
      const sampled = run(recording, onRecords, controller.signal);
      const unsubscribe = queue.onWaiting(waitedFor);
      const finished = sampled
        .then((result) => ({ ...result, seeds, plan, pictures: () => pictures(result) }))
        .finally(() => {
          unsubscribe();
          stop();
        });
      return {
        finished,
        release: () => release(),
        cancel: () => controller.abort(),
        isWaitedFor: () => queue.isWaitedFor,
      };
    },
    (records) => decodeRecords(records, recording, sites, names),
  );
}
