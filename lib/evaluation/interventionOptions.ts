/** The options of `runInterventions`, and the interventions that it makes by default. */
import { z } from 'zod';

import { invalid } from '../validation/invalid';
import { guidanceSchema, type Channels, type GuidanceOptions } from '../guidance';
import { channelsSchema } from '../guidance/channels';
import { describedBy } from '../validation/describedBy';
import { either, finite, list, strictObject, text, whole } from '../validation/vocabulary';
import type { Pipeline } from '../pipeline';

import { sampledPictureShape, type SampledPictureOptions } from './options';

/** An intervention of one's own. */
export interface InterventionSetting {
  /** What the result calls it. */
  name: string;
  /** As `generate` takes it. */
  guidance: GuidanceOptions;
}

/** What `runInterventions` takes. */
export interface InterventionOptions extends SampledPictureOptions {
  /** Pictures, one a seed, each made undisturbed and under every intervention; from 2 to 100 000. Default 100. */
  samples?: number;
  /**
   * Of the default interventions: block whose output is disrupted, from 0. Default 'auto', the one that the bundle records;
   * BAD_OPTION where it records none. LAYER_OUT_OF_RANGE.
   */
  layer?: 'auto' | number;
  /**
   * Of the default interventions: channels of the disruption. Default 'auto', the massive activations that the bundle
   * records. CHANNEL_OUT_OF_RANGE.
   */
  channels?: Channels;
  /** Of the default interventions: ρ, what is left of the channels, −10 to 10. Default 0. */
  retention?: number;
  /** Draws of other channels for the magnitude-matched control, from 1 to 100. Default 3. */
  draws?: number;
  /** Share of the tokens that the random-tokens control disrupts, 0 to 1. Default 0.5. */
  tokenShare?: number;
  /** Standard deviation of the blurred control in tokens, 0.01 to 10 000. Default 1. */
  sigma?: number;
  /** Interventions of your own in place of those: guidances, each compared with `undisturbed`. */
  interventions?: InterventionSetting[];
  /** What the interventions are compared with. Default `{}`: the conditional prediction alone. */
  undisturbed?: GuidanceOptions;
  /** Pictures of each intervention that the result holds, up to 10 000. Default 0. */
  pictures?: number;
  /** Called as pictures are done, of so many, with the intervention's name. */
  onProgress?: (done: number, total: number, name: string) => unknown;
  /** Ends the run within one evaluation of the model; the call then rejects with an AbortError. */
  signal?: AbortSignal;
}

export const interventionsSchema = describedBy<InterventionOptions>()(
  strictObject({
    ...sampledPictureShape(Number.MAX_SAFE_INTEGER - 1_000_000),
    samples: whole(2, 100_000).default(100),
    layer: either([z.literal('auto'), whole(0)], "'auto' or a block index from 0").default('auto'),
    channels: channelsSchema.default('auto'),
    retention: finite(-10, 10).default(0),
    draws: whole(1, 100).default(3),
    tokenShare: finite(0, 1).default(0.5),
    sigma: finite(0.01, 10_000).default(1),
    interventions: list(
      strictObject({ name: text(), guidance: guidanceSchema }),
      'a list of { name, guidance }',
    ).optional(),
    undisturbed: guidanceSchema.prefault({}),
    pictures: whole(0, 10_000).default(0),
    onProgress: z
      .custom<(done: number, total: number, name: string) => unknown>((value) => typeof value === 'function', {
        error: 'a function',
      })
      .optional(),
  }),
);

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
