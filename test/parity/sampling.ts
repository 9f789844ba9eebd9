/** A whole sampling run on both sides, from the same options. */
import type { GenerateOptions, GenerateResult, Pipeline } from '../../lib';
import type { Plan } from '../../lib/plan';
import type { Tensor } from '../../lib/tensor';

import { noise, type Oracle } from './oracle';
import type { Subject } from './subjects';

type Guidance = Exclude<NonNullable<GenerateOptions['guidance']>, string>;

export interface SamplingCase {
  name: string;
  guidance: Guidance;
  steps?: number;
  /** Of the first image's fresh noise, for stochastic samplers. */
  seed?: number;
  /** Options of `generate` in place of the bundle's sampler, and diffusers' sampler for it. */
  scheduler?: [options: Record<string, unknown>, reference: Record<string, unknown>];
}

export const images = 2;
export const latents = ({ latent }: Subject): Tensor => noise([images, ...latent], 5);

/** What `generate` is given for a case. */
export function optionsOf(subject: Subject, { guidance, steps = 6, scheduler, seed }: SamplingCase): GenerateOptions {
  const conditioning = subject.conditioning(images);
  const { class: classes, ...tensors } = conditioning;
  return {
    latents: latents(subject),
    numInferenceSteps: steps,
    guidance,
    ...(classes
      ? { classLabel: Array.from(classes.data, Number) }
      : { conditioning: tensors, negativeConditioning: subject.negative(images) }),
    ...(scheduler ? { scheduler: scheduler[0] } : {}),
    ...(seed === undefined ? {} : { seed }),
  };
}

/** What Python ends with, and how often it evaluated the model for it. */
export async function reference(
  oracle: Oracle,
  subject: Subject,
  { guidance, steps = 6, scheduler, seed = 0 }: SamplingCase,
  plan: Plan,
  record: { path: string; tap?: string; stream?: string }[] = [],
): Promise<{ latents: Tensor; evaluations: number; records: Record<string, Tensor> }> {
  const negative = Object.entries(subject.negative(images)).map(([name, tensor]) => [`negative.${name}`, tensor]);
  const source = plan.edits.find((edit) => edit.source)?.source;
  const answer = await oracle.ask(
    {
      op: 'sample',
      subject: subject.name,
      steps,
      seed,
      scheduler: scheduler?.[1] ?? subject.scheduler,
      guidance: spelledOut(guidance, plan),
      record,
    },
    {
      latents: latents(subject),
      ...subject.conditioning(images),
      ...(Object.fromEntries(negative) as Record<string, Tensor>),
      ...(source ? { source } : {}),
    },
  );
  return { latents: answer['latents']!, evaluations: Number(answer['evaluations']!.data[0]), records: answer };
}

/** The options with the defaults that the plan took, and with what it drew at random. */
function spelledOut(guidance: Guidance, plan: Plan): Record<string, unknown> {
  // A tensor goes beside the request.
  const text = JSON.stringify(plan.guidance, (key, value: unknown) => (key === 'source' ? key : value));
  const all = JSON.parse(text) as Record<string, Record<string, unknown>>;
  return Object.fromEntries(
    Object.entries(all)
      .filter(([name]) => name in guidance)
      .map(([name, options]) => {
        if (name === 's2') return [name, { ...options, drawn: plan.steps.map((_, step) => skippedLayers(plan, step)) }];
        if (Array.isArray(options)) return [name, options.map((each) => withControl(each, plan))];
        return [name, withControl(options, plan)];
      }),
  );
}

/** The layers that S2-Guidance leaves out in a step, read from the names of the branches it evaluates. */
function skippedLayers({ branches, steps }: Plan, step: number): number[] {
  const name = branches.find(
    (branch, index) => branch.name.startsWith('without layer ') && steps[step]!.weights[index] !== 0,
  )?.name;
  return name?.slice('without layer '.length).split(', ').map(Number) ?? [];
}

function withControl(options: Record<string, unknown>, plan: Plan): Record<string, unknown> {
  const control = options['control'] as { kind: string } | undefined;
  if (!control) return options;
  const edit = plan.edits[0]!;
  const drawn = control.kind === 'matched-channels' ? edit.channels : edit.tokens;
  return { ...options, control: { ...control, drawn } };
}

/** generate on the case, with what it is given besides. */
export function generate(
  pipeline: Pipeline,
  subject: Subject,
  each: SamplingCase,
  more: Partial<GenerateOptions> = {},
): Promise<GenerateResult> {
  return pipeline.generate({ ...optionsOf(subject, each), ...more });
}
