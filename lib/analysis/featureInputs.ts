/** The model's inputs for a picture whose features are wanted: noised, once for each member of the ensemble. */
import { opened, type Bundle } from '../bundle';
import { classIndices, conditioningTensors } from '../request/conditioning';
import { invalid } from '../validation/invalid';
import { native } from '../native';
import type { PlanStep } from '../plan';
import type { Tensor } from '../tensor';

import type { Conditions } from './conditions';
import { addNoise, timestepTensor } from './noised';
import type { ActivationSource } from './source';

/** How a picture is noised, and what the model is conditioned on. */
export interface Ensemble {
  time: number;
  noised: boolean;
  ensemble: number;
  seed: number;
  conditions?: Conditions | undefined;
}

/** For planning alone: a model that is conditioned by class wants to know which. */
export function planConditions({ conditioning }: Bundle, { conditions }: Pick<Ensemble, 'conditions'>): object {
  return conditions ?? (conditioning.kind === 'class' ? { classLabel: 0 } : {});
}

/** A prompt, or for a model with text encoders nothing, becomes the tensors of its inputs. @throws BAD_OPTION */
export async function encodeConditions(
  pipeline: Pick<ActivationSource, 'bundle' | 'encodePrompt'>,
  conditions: Conditions | undefined,
  signal: AbortSignal | undefined,
): Promise<Conditions | undefined> {
  const { conditioning } = pipeline.bundle;
  const { prompt, maxSequenceLength, ...others } = conditions ?? {};
  if (prompt === undefined && (conditions?.conditioning || conditioning.kind !== 'text')) return conditions;
  if (Array.isArray(prompt)) {
    throw invalid('options.conditions.prompt', 'one text', prompt);
  }
  // Without a prompt as classifier-free guidance without a negative one.
  const encoded = await pipeline.encodePrompt(prompt ?? '', { maxSequenceLength, signal });
  return { ...others, conditioning: encoded };
}

/** One row for each noise of the ensemble; without noise one row says all. */
export function featureInputs(
  bundle: Bundle,
  clean: Float32Array,
  step: PlanStep,
  request: Ensemble,
): Record<string, Tensor> {
  const { latent, transformer, conditioning } = bundle;
  const shape = [latent.channels, latent.height, latent.width];
  const asGiven = request.noised || request.time === 0;
  const rows = asGiven ? 1 : request.ensemble;
  const data = new Float32Array(rows * clean.length);
  for (let row = 0; row < rows; row++) {
    const noise = native().gaussian(BigInt(request.seed + row), shape).data as Float32Array;
    const sample = asGiven ? clean : addNoise(clean, noise, step.sigma, transformer.prediction);
    data.set(sample, row * clean.length);
  }
  const { classLabel, conditioning: inputs } = request.conditions ?? {};
  const unconditional = conditioning.kind === 'class' && classLabel === undefined;
  const classes = classIndices(unconditional ? 0 : classLabel, rows, conditioning);
  const which = unconditional ? 'unconditional' : 'conditional';
  const others = transformer.inputs.filter(({ role }) => role !== 'latent' && role !== 'timestep');
  const tensors = conditioningTensors(which, { conditioning: inputs }, rows, classes, opened(bundle));
  const byRole = (role: string) => transformer.inputs.find((input) => input.role === role)!.name;
  return {
    [byRole('latent')]: { data, shape: [rows, ...shape], dtype: 'float32' },
    [byRole('timestep')]: timestepTensor(step.timestep, rows, transformer),
    ...Object.fromEntries(
      others.map(({ name }, index) => [name, repeatRows(tensors[index]!, rows, others[index]!.shape)]),
    ),
  };
}

/** A batched input that has one row for all gets as many as the latents have. */
function repeatRows(tensor: Tensor, rows: number, [first]: readonly (string | number)[]): Tensor {
  if (first !== 'batch' || tensor.shape[0] === rows) return tensor;
  const data = new (tensor.data.constructor as Float32ArrayConstructor)(tensor.data.length * rows);
  for (let row = 0; row < rows; row++) data.set(tensor.data as Float32Array, row * tensor.data.length);
  return { data, shape: [rows, ...tensor.shape.slice(1)], dtype: tensor.dtype };
}
