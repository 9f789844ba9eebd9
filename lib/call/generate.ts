/** What happens to a request of `generate`, when its turn has come: prompts, starting pictures, sampling, decoding. */
import type { Components } from '../model/components';
import type { MemorySettings } from '../model/expectedMemory';
import type { NativePlan, NativeProgress } from '../native';
import type { Plan } from '../plan';
import type { GenerateRequest } from '../request/generateOptions';
import { chooseSeeds, type Seed } from '../request/seeds';
import { stepEvent, type StepEvent } from '../request/stepEvent';

import { decodePictures, type Tiling } from './decoding';
import { finishGeneration, nativePlan, type LoadedBundle } from './generation';
import { givenChecksums } from './given';
import { startingPictures } from './imageToImage';
import { encodeRequest } from './prompts';
import type { GenerateResult } from './result';
import type { RunningCall } from './runningCall';

/** What a call needs of its pipeline, beside the transformer. */
export interface LoadedModel extends LoadedBundle {
  /** Text encoders and VAE. */
  components: Components;
  /** What `loadPipeline` was told of memory. */
  memory: Pick<MemorySettings, 'offload' | 'lowMemory'>;
}

/** @throws what `pipeline.generate` throws once it runs */
export async function generatePictures(
  request: GenerateRequest,
  plan: Plan,
  during: RunningCall,
  model: LoadedModel,
): Promise<GenerateResult> {
  const { bundle, components } = model;
  const { onProgress, onWarning, signal } = request;
  const callbacks = {
    onProgress: onProgress && during.guard(onProgress),
    onWarning: onWarning && during.guard(onWarning),
  };
  const seeds = chooseSeeds(request.seed, plan.images);
  const { encoded, prepared } = await prepareSampling({ ...request, ...callbacks }, plan, seeds, model);
  const tiling: Tiling = { isOn: request.vaeTiling };
  await callbacks.onProgress?.({ phase: 'sampling', done: 0, total: samplingTotal(plan) });
  during.check();
  const report = reportOf(request, plan, model, tiling);
  const sampled = await during.sample(prepared, report && during.guard(report));
  const tiled: boolean[] = [];
  const tell = async (done: number) => {
    if (done > 0) tiled.push(tiling.isOn);
    if (bundle.vae) await callbacks.onProgress?.({ phase: 'decoding', done, total: plan.images });
    during.check();
  };
  await tell(0);
  const decoded = await decodePictures(sampled.latents, bundle, components, {
    tiling,
    onWarning: callbacks.onWarning,
    signal,
    onDecoded: tell,
  });
  const checksums = await givenChecksums(encoded, plan.images);
  const facts = checksums.map((own, image) => ({ given: own, isTiled: tiled[image] ?? false }));
  return finishGeneration(sampled, decoded, plan, encoded, seeds, facts, model);
}

/** Prompts and pictures become tensors; the transformer is not needed for it. */
export async function prepareSampling(
  request: GenerateRequest,
  plan: Plan,
  seeds: Seed[],
  model: LoadedModel,
): Promise<{ encoded: GenerateRequest; prepared: NativePlan }> {
  const encoded = await encodeRequest(request, plan, model.bundle, model.components);
  const pictures = await startingPictures(request, plan, seeds, model, model.components);
  return { encoded, prepared: nativePlan(plan, encoded, seeds, model, pictures) };
}

/** Evaluated steps of all pictures, as `onProgress` counts them. */
export const samplingTotal = ({ images, steps }: Plan): number => images * steps.length;

/** What tells `onStep` and `onProgress` of a step, to be guarded; undefined where neither asks. */
export function reportOf(
  request: GenerateRequest,
  plan: Plan,
  model: LoadedModel,
  tiling: Tiling,
): ((progress: NativeProgress) => Promise<void>) | undefined {
  const { onStep, onProgress } = request;
  if (!onStep && !onProgress) return undefined;
  const total = samplingTotal(plan);
  return async (progress) => {
    const event = await eventOf(progress, plan, model, request, tiling);
    await onStep?.(event);
    await onProgress?.({ phase: 'sampling', done: Math.round(event.fraction * total), total });
  };
}

/** What `onStep` is told, with the pictures of the step's estimate where they are asked for. */
async function eventOf(
  progress: NativeProgress,
  plan: Plan,
  { bundle, components }: LoadedModel,
  { preview, onWarning, signal }: GenerateRequest,
  tiling: Tiling,
): Promise<StepEvent> {
  const event = stepEvent(progress, plan);
  const estimate = progress.preview;
  if (!estimate || (typeof preview === 'function' && !(await preview(event)))) return event;
  return { ...event, preview: await decodePictures(estimate, bundle, components, { tiling, onWarning, signal }) };
}
