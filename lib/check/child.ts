/** The process that looks at a bundle: gives up its rights, opens it, evaluates it once, says what it found. */
import { opened, type BundleManifest } from '../bundle';
import { native, type Confinement } from '../native';
import { loadPipeline, type Pipeline } from '../pipeline';
import { DetailGuidanceError } from '../validation/errors';

import type { BundleReport, CheckedEvaluation, CheckResult, CheckTask } from './report';

process.once('message', (task: CheckTask) => {
  void look(task).then((result) => process.send!(result, () => process.exit()));
});

async function look({ location, memoryBytes }: CheckTask): Promise<CheckResult> {
  let confinement: Confinement = { memory: false, files: false, network: false, programs: false };
  try {
    // The addon and libtorch are in memory then; what is loaded from now on is read only.
    confinement = native().confine(memoryBytes);
    await using pipeline = await loadPipeline(location, { device: 'cpu' });
    const report = await describe(pipeline);
    const ok = report.evaluation?.finite !== false;
    const failure = ok ? null : { code: 'MODEL_FAILED', message: 'The model gives numbers that are not finite.' };
    return { ok, confinement, report, failure };
  } catch (error) {
    const code = error instanceof DetailGuidanceError ? error.code : 'CHECK_ENDED';
    const message = error instanceof Error ? error.message : String(error);
    return { ok: false, confinement, report: null, failure: { code, message } };
  }
}

async function describe(pipeline: Pipeline): Promise<BundleReport> {
  const bundle = opened(pipeline.bundle);
  const sizes = Object.values(bundle.files).map(({ bytes }) => bytes);
  return {
    name: bundle.name,
    family: bundle.family,
    licence: bundle.licence,
    files: sizes.length,
    bytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
    parameters: pipeline.size.parameters,
    blocks: pipeline.size.blocks,
    evaluation: await evaluate(pipeline),
    peakMemory: process.resourceUsage().maxRSS * 1024,
  };
}

/** One step of one picture: text encoders, transformer and VAE, each once. */
async function evaluate(pipeline: Pipeline): Promise<CheckedEvaluation | null> {
  const bundle = opened(pipeline.bundle);
  const { kind } = bundle.conditioning;
  if (kind === 'tensors') {
    await pipeline.shapes();
    return null;
  }
  const { images, latents } = await pipeline.generate({
    ...(kind === 'class' ? { classLabel: 0 } : { prompt: 'a' }),
    ...smallestSize(bundle),
    numInferenceSteps: 1,
    guidance: {},
    seed: 0,
  });
  const { width, height } = images[0]!;
  const finite = (latents.data as Float32Array).every((value) => Number.isFinite(value));
  return { width, height, finite };
}

/** Two by two tokens, where the bundle makes other sizes than its own. */
function smallestSize({ latent, transformer, vae }: BundleManifest): { width?: number; height?: number } {
  const shape = transformer.inputs.find(({ role }) => role === 'latent')!.shape;
  if (typeof shape.at(-1) !== 'string' || typeof shape.at(-2) !== 'string') return {};
  const [rows, columns] = transformer.tokenGrid;
  const pixels = vae?.scale ?? 1;
  return { width: 2 * (latent.width / columns) * pixels, height: 2 * (latent.height / rows) * pixels };
}
