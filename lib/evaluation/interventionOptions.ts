/** The options of `runInterventions`, and the interventions that it makes by default. */
import { z } from 'zod';

import { invalid } from '../validation/invalid';
import { guidanceSchema, type GuidanceOptions } from '../guidance';
import { channelsSchema } from '../guidance/channels';
import { abortSignal, either, finite, list, strictObject, text, whole } from '../validation/vocabulary';
import type { Pipeline } from '../pipeline';

import { networkOption, type PictureRequest } from './options';

export const interventionsSchema = strictObject({
  /** Pictures, one a seed, each made undisturbed and under every intervention. Default 100. */
  samples: whole(2, 100_000).default(100),
  /** Picture i is made from seed + i. Default 0. */
  seed: whole(0, Number.MAX_SAFE_INTEGER - 1_000_000).default(0),
  /** Default: the bundle's. */
  numInferenceSteps: whole(1, 1000).optional(),
  /** Options of the default interventions: block whose output is disrupted. Default: the one that the bundle records. */
  layer: either([z.literal('auto'), whole(0)], "'auto' or a block index from 0").default('auto'),
  /** Channels of the disruption. Default: the massive activations that the bundle records. */
  channels: channelsSchema.default('auto'),
  /** ρ, what is left of them. Default 0. */
  retention: finite(-10, 10).default(0),
  /** Draws of other channels for the magnitude-matched control. Default 3. */
  draws: whole(1, 100).default(3),
  /** Share of the tokens that the random-tokens control disrupts. Default 0.5. */
  tokenShare: finite(0, 1).default(0.5),
  /** Standard deviation of the blurred control, in tokens. Default 1. */
  sigma: finite(0.01, 10_000).default(1),
  /** Interventions of your own in place of those: guidances, each compared with `undisturbed`. */
  interventions: list(
    strictObject({ name: text(), guidance: guidanceSchema }),
    'a list of { name, guidance }',
  ).optional(),
  /** What the interventions are compared with. Default `{}`: the conditional prediction alone. */
  undisturbed: guidanceSchema.prefault({}),
  /** Classifier. Default: the one of the bundle; null: none. */
  classifier: networkOption.nullable().optional(),
  /** Where high frequencies begin, in cycles per pixel. Default 0.25. */
  cutoff: finite(0.001, 0.5).default(0.25),
  /** What is in the pictures; see `evaluate`. */
  request: z
    .custom<(first: number, count: number) => PictureRequest | Promise<PictureRequest>>(
      (value) => typeof value === 'function',
      { error: 'a function' },
    )
    .optional(),
  /** Pictures in one evaluation of the model. Default 50. */
  batchSize: whole(1, 4096).default(50),
  /** Pictures of each intervention that the result holds. Default 0. */
  pictures: whole(0, 10_000).default(0),
  /** Told how many of how many pictures are done. */
  onProgress: z
    .custom<(done: number, total: number, name: string) => void>((value) => typeof value === 'function', {
      error: 'a function',
    })
    .optional(),
  signal: abortSignal().optional(),
});

export type InterventionOptions = z.input<typeof interventionsSchema>;
export type InterventionRequest = z.output<typeof interventionsSchema>;

/** Disruption of the massive activations, and its controls. */
export function defaultInterventions(
  options: Pick<InterventionRequest, 'layer' | 'channels' | 'retention' | 'draws' | 'tokenShare' | 'sigma'>,
  bundle: Pipeline['bundle'],
): { name: string; guidance: GuidanceOptions }[] {
  const { layer, channels, retention, draws, tokenShare, sigma } = options;
  const blurred = layer === 'auto' ? recordedLayer(bundle) : layer;
  const disruption = { layer, channels, retention };
  return [
    { name: 'massive activations', guidance: { disrupt: disruption } },
    ...Array.from({ length: draws }, (_, seed) => ({
      name: `matched channels, draw ${seed}`,
      guidance: { disrupt: { ...disruption, control: { kind: 'matched-channels' as const, seed } } },
    })),
    {
      name: 'random tokens',
      guidance: { disrupt: { ...disruption, control: { kind: 'random-tokens' as const, share: tokenShare } } },
    },
    {
      name: 'blur',
      guidance: {
        branches: [{ conditioning: 'conditional', weight: 1, edits: [{ operation: 'blur', layer: blurred, sigma }] }],
      },
    },
  ];
}

/** The block that 'auto' means. @throws BAD_OPTION for a bundle that records none */
function recordedLayer({ massiveActivations, name }: Pipeline['bundle']): number {
  if (massiveActivations) return massiveActivations.layer;
  throw invalid('options.layer', 'a block index from 0', 'auto', {
    note: `the bundle ${name} records no massive activations`,
  });
}
