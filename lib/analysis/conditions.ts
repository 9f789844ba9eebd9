/** What the model is conditioned on while it is looked at: classes, or what the caller names. */
import type { Bundle, InputRole } from '../bundle';
import { invalid } from '../validation/invalid';
import type { GenerateOptions } from '../request/generateOptions';

/** The part of `GenerateOptions` that says what is drawn: a class, tensors, a prompt. */
export type Conditions = Omit<
  GenerateOptions,
  'seed' | 'latents' | 'numImages' | 'numInferenceSteps' | 'guidance' | 'preview' | 'onStep' | 'signal'
>;

/** Classes that stand for all of them, when the caller names none. */
const mostClasses = 10;

/** Roles of inputs that are filled without the caller. */
const withoutCaller: readonly InputRole[] = ['latent', 'timestep', 'guidance'];

/**
 * The caller's, or up to ten classes spread evenly over all; nothing for a model that takes nothing.
 *
 * @throws BAD_OPTION for an empty list, and when none are given for a model that takes something else than classes
 */
export function chooseConditions(
  conditions: readonly Conditions[] | undefined,
  { conditioning, transformer }: Pick<Bundle, 'conditioning' | 'transformer'>,
): Conditions[] {
  if (conditions !== undefined && conditions.length > 0) return [...conditions];
  const tensors = transformer.inputs.filter(({ role }) => !withoutCaller.includes(role)).map(({ name }) => name);
  if (conditions === undefined && conditioning.kind === 'tensors' && tensors.length === 0) return [{}];
  if (conditions !== undefined || conditioning.kind !== 'class') {
    const [expected, note] =
      conditioning.kind === 'text'
        ? ['a list of prompts, [{ prompt }, …] (--prompt on the command line)', undefined]
        : [
            'a list of what the model is conditioned on, as generate takes it',
            `tensors for ${tensors.join(', ')}: only a program can give 'conditioning', not the command line`,
          ];
    throw invalid('options.conditions', expected, conditions, { note });
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
