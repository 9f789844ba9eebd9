/** What the model is conditioned on while it is looked at: classes, or what the caller names. */
import type { Bundle } from '../bundle';
import { invalid } from '../validation/invalid';
import type { GenerateOptions } from '../request/generateOptions';

/** The part of `GenerateOptions` that says what is drawn: a class, tensors, a prompt. */
export type Conditions = Omit<
  GenerateOptions,
  'seed' | 'latents' | 'numImages' | 'numInferenceSteps' | 'guidance' | 'preview' | 'onStep' | 'signal'
>;

/** Classes that stand for all of them, when the caller names none. */
const mostClasses = 10;

/**
 * The caller's, or up to ten classes spread evenly over all.
 *
 * @throws BAD_OPTION for an empty list, and when none are given for a model that has no classes
 */
export function chooseConditions(
  conditions: readonly Conditions[] | undefined,
  { conditioning }: Bundle,
): Conditions[] {
  if (conditions !== undefined && conditions.length > 0) return [...conditions];
  if (conditions !== undefined || conditioning.kind !== 'class') {
    const expected =
      conditioning.kind === 'text'
        ? 'a list of prompts, [{ prompt }, …] (--prompt on the command line)'
        : 'a list of what the model is conditioned on, as generate takes it';
    throw invalid('options.conditions', expected, conditions);
  }
  const { numClasses } = conditioning;
  const count = Math.min(numClasses, mostClasses);
  return Array.from({ length: count }, (_, index) => ({ classLabel: Math.floor((index * numClasses) / count) }));
}

/** A few words for a figure. */
export function describeConditions(conditions: Conditions, index: number, { conditioning }: Bundle): string {
  const { classLabel, prompt } = conditions as Conditions & { prompt?: unknown };
  if (typeof prompt === 'string') return prompt;
  if (typeof classLabel === 'string') return classLabel;
  if (typeof classLabel === 'number') {
    return (conditioning.kind === 'class' ? conditioning.labels?.[classLabel] : undefined) ?? `class ${classLabel}`;
  }
  return `conditioning ${index}`;
}
