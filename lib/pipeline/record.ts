/** What happens to a request of `activations`: the run of a plan, whose records are read while it goes on. */
import { recordSampling, type ActivationRecord, type RecordedSampling } from '../activations';
import type { ActivationRequest } from '../activations/options';
import { decodePictures, type Tiling } from '../call/decoding';
import { prepareSampling, reportOf, samplingTotal, type LoadedModel } from '../call/generate';
import { finishGeneration, nativePlan } from '../call/generation';
import { givenChecksums } from '../call/given';
import type { RunningCall } from '../call/runningCall';
import type { Queue } from '../model/queue';
import type { NativeModel, Site } from '../native';
import { editContext, type Plan, type PlannedModel } from '../plan';
import { chooseSeeds } from '../request/seeds';
import { invalid } from '../validation/invalid';

/** What a recorded run needs of its pipeline. */
export interface RecordingPipeline {
  model: LoadedModel;
  /** null where the transformer does not stay in memory. */
  transformer: NativeModel | null;
  sites: readonly Site[];
  planned: PlannedModel;
  queue: Queue;
  /** Waits its turn, runs, and settles after the native side has unwound. */
  enter<Result>(job: (during: RunningCall) => Promise<Result>, signal: AbortSignal | undefined): Promise<Result>;
}

/** @throws BAD_OPTION under lowMemory, and what recordingOf throws, before anything runs */
export function recordRun(
  request: ActivationRequest,
  plan: Plan,
  { model, transformer, sites, planned, queue, enter }: RecordingPipeline,
): AsyncGenerator<ActivationRecord, RecordedSampling, undefined> {
  const { generate } = request;
  const seeds = chooseSeeds(generate.seed, plan.images);
  if (!transformer) {
    throw invalid('This pipeline', 'one without lowMemory', 'lowMemory', {
      note: 'activations are read of a transformer that stays in memory',
    });
  }
  // What does not wait for the text encoders or the VAE is checked at once.
  const ready =
    generate.prompt === undefined && generate.image === undefined ? nativePlan(plan, generate, seeds, model) : null;
  const tiling: Tiling = { isOn: generate.vaeTiling };
  return recordSampling(request, {
    model: transformer,
    sites,
    context: editContext(planned, plan.size.tokenGrid),
    plan,
    seeds,
    queue,
    pictures: (sampled) =>
      enter(async () => {
        const { onWarning } = generate;
        const tiled: boolean[] = [];
        const onDecoded = () => tiled.push(tiling.isOn);
        const options = { tiling, onWarning, onDecoded };
        const decoded = await decodePictures(sampled.latents, model.bundle, model.components, options);
        const checksums = await givenChecksums(generate, plan.images);
        const facts = checksums.map((own, image) => ({ given: own, isTiled: tiled[image] ?? false }));
        return finishGeneration(sampled, decoded, plan, generate, seeds, facts, model).images;
      }, undefined),
    run: (recording, onRecords, signal) =>
      enter(async (during) => {
        const prepared = ready ?? (await prepareSampling({ ...generate, signal }, plan, seeds, model)).prepared;
        const report = reportOf({ ...generate, signal }, plan, model, tiling);
        const { onProgress } = generate;
        if (onProgress) await during.guard(onProgress)({ phase: 'sampling', done: 0, total: samplingTotal(plan) });
        during.check();
        return during.sample({ ...prepared, recording }, report && during.guard(report), onRecords);
      }, signal),
  });
}
