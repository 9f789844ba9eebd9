/**
 * Controls: what the disruption is compared with to show that it is the massive activations that matter.
 *
 * `matched-channels`: other channels, drawn from the middle half of the layer's ranking by strength, scaled so that ‖Δz‖₂ at every token is
 * that of disrupting the massive ones. Zeroing quiet channels would be an unfair control.
 * `random-tokens`: the same channels, at as many tokens drawn at random.
 */
import { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { invalid } from '../validation/invalid';
import type { PlanEdit } from '../native';
import { either, finite, strictObject, whole } from '../validation/vocabulary';

import { draw } from './seededDraw';
import type { GuidanceContext } from './term';
import type { OfKind } from '../validation/ofKind';

/** Other channels of the layer, moved by as much at every token as disrupting the massive ones moves those. */
export interface MatchedChannels extends OfKind<'matched-channels'> {
  /** Draws the channels; a whole number from 0. Default 0. */
  seed?: number;
}

/** The same channels at tokens that are drawn. */
export interface RandomTokens extends OfKind<'random-tokens'> {
  /** Share of the tokens that is drawn, from 0 to 1; with `tokens` as many as those are. Default 0.5. */
  share?: number;
  /** Draws the tokens; a whole number from 0. Default 0. */
  seed?: number;
}

/** What takes the disruption's place, to compare it with. */
export type Control = MatchedChannels | RandomTokens;

export const controlSchema = describedBy<Control>()(
  either(
    [
      strictObject({ kind: z.literal('matched-channels'), seed: whole(0).default(0) }),
      strictObject({
        kind: z.literal('random-tokens'),
        share: finite(0, 1).default(0.5),
        seed: whole(0).default(0),
      }),
    ],
    "{ kind: 'matched-channels', seed } or { kind: 'random-tokens', share, seed }",
  ),
);

/** The control's edit in place of the disruption's. */
export function controlledEdit(
  option: string,
  control: z.output<typeof controlSchema>,
  edit: PlanEdit,
  layer: number,
  context: GuidanceContext,
): PlanEdit {
  const { tokenGrid, massiveActivations } = context;
  const disrupted = edit.channels ?? [];
  if (control.kind === 'random-tokens') {
    const all = tokenGrid[0] * tokenGrid[1];
    const count = edit.tokens?.length ?? Math.max(1, Math.round(control.share * all));
    const tokens = draw(
      control.seed,
      Array.from({ length: all }, (_, token) => token),
      count,
    );
    return { ...edit, tokens };
  }
  const excluded = new Set([...disrupted, ...(massiveActivations?.channels ?? [])]);
  const others = middleRanks(layer, context).filter((channel) => !excluded.has(channel));
  if (others.length < disrupted.length) {
    throw invalid(`${option}.control`, `at most ${others.length} channels`, disrupted.length, {
      note: 'as many as are left that are not massive',
    });
  }
  const channels = draw(control.seed, others, disrupted.length);
  return { ...edit, operation: 'match', channels, reference: disrupted };
}

/** The middle half of a layer's channels by strength; all of them where they were not measured. */
function middleRanks(layer: number, { hiddenChannels, ranking }: GuidanceContext): number[] {
  const ranked = ranking(layer);
  if (!ranked) return Array.from({ length: hiddenChannels }, (_, channel) => channel);
  const middle = ranked.slice(Math.floor(ranked.length / 4), Math.ceil((ranked.length * 3) / 4));
  return middle.sort((a, b) => a - b);
}
