/** Pictures of one call that are guided by different scales. */
import { createHash } from 'node:crypto';

import { isShape, type Tensor } from '../tensor';
import { invalid } from '../validation/invalid';

import type { Plan } from './types';

/**
 * One plan for pictures that were planned each by itself.
 *
 * @param plans one for each picture, each with all pictures' conditioning
 * @throws BAD_OPTION where they differ in more than weights
 */
export function joinPlans(plans: readonly [Plan, ...Plan[]]): Plan {
  const [first] = plans;
  const structure = structureOf(first);
  const others = new Set(plans);
  for (const other of others) {
    if (structureOf(other) === structure) continue;
    throw invalid('options.guidancePerImage', 'guidances that differ in their scales alone', other.guidance, {
      shown: `another structure for picture ${plans.indexOf(other)}`,
    });
  }
  if ([...others].every((other) => hasWeightsOf(other, first))) return first;
  return {
    ...first,
    guidancePerImage: plans.map(({ guidance }) => guidance),
    steps: first.steps.map((step, at) => ({ ...step, imageWeights: plans.map(({ steps }) => steps[at]!.weights) })),
  };
}

/** The plan of one of its pictures, as if it had been made alone. */
export function planOfImage({ guidancePerImage, ...plan }: Plan, image: number): Plan {
  const own = {
    ...plan,
    guidance: guidancePerImage?.[image] ?? plan.guidance,
    steps: plan.steps.map(({ imageWeights, ...step }) => ({ ...step, weights: imageWeights?.[image] ?? step.weights })),
  };
  return { ...own, images: 1, classes: plan.classes && [plan.classes[image]!], preview: false };
}

const hasWeightsOf = (plan: Plan, other: Plan): boolean =>
  plan.steps.every(({ weights }, step) => weights.every((weight, at) => weight === other.steps[step]!.weights[at]));

/** What is evaluated and how it is summed, without the weights. */
function structureOf({ branches, edits, steps, guidance }: Plan): string {
  const parts = [
    branches,
    edits,
    steps.map(({ weights, reuse, adjustments }) => [weights.map((weight) => weight !== 0), reuse, adjustments]),
    guidance.embedded?.scale,
  ];
  return textOf(parts);
}

/** As JSON, which has no Infinity, a sigma that means something; and of tensors what tells them apart. */
export function textOf(parts: unknown): string {
  return JSON.stringify(parts, (_, value: unknown) => (value === Infinity ? 'Infinity' : shortened(value))) ?? '';
}

/** A tensor by its bytes. What only looks like one is refused where it is used. */
function shortened(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('data' in value && 'shape' in value)) return value;
  const { data, shape, dtype } = value as Tensor;
  if (!ArrayBuffer.isView(data) || !isShape(shape)) return null;
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return [String(dtype), shape.length, ...shape, createHash('sha256').update(bytes).digest('hex')];
}
