/** Pictures of one call that are guided by different scales. */
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
  plans.forEach((other, image) => {
    if (structureOf(other) === structure) return;
    throw invalid('options.guidancePerImage', 'guidances that differ in their scales alone', other.guidance, {
      shown: `another structure for picture ${image}`,
    });
  });
  if (plans.every(({ steps }) => JSON.stringify(steps) === JSON.stringify(first.steps))) return first;
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

/** What is evaluated and how it is summed, without the weights. */
function structureOf({ branches, edits, steps, guidance }: Plan): string {
  const parts = [
    branches,
    edits,
    steps.map(({ weights, reuse, adjustments }) => [weights.map((weight) => weight !== 0), reuse, adjustments]),
    guidance.embedded?.scale,
  ];
  // JSON has no Infinity, which is a sigma that means something.
  return JSON.stringify(parts, (_, value: unknown) => (value === Infinity ? 'Infinity' : value));
}
