/** Which channels of the hidden state a technique touches. */
import { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { invalid } from '../validation/invalid';
import { either, list, whole } from '../validation/vocabulary';

import type { GuidanceContext } from './term';

/** `'auto'`: the massive activations that the bundle records; or channel indices of the hidden state from 0. */
export type Channels = 'auto' | number[];

export const channelsSchema = describedBy<Channels>()(
  either(
    [z.literal('auto'), list(whole(0), 'a list of channel indices from 0')],
    "'auto' or a list of channel indices from 0",
  ),
);

/**
 * The chosen channels, without duplicates, in the order given.
 *
 * @param isBlock the hidden state is that after a block, whose width is known
 * @throws CHANNEL_OUT_OF_RANGE; BAD_OPTION for 'auto' with a bundle that records no massive activations
 */
export function chooseChannels(
  option: string,
  channels: Channels,
  context: Pick<GuidanceContext, 'massiveActivations' | 'hiddenChannels'>,
  isBlock = true,
): number[] {
  if (channels === 'auto') return [...recorded(option, context).channels];
  const beyond = isBlock ? channels.find((channel) => channel >= context.hiddenChannels) : undefined;
  if (beyond === undefined) return [...new Set(channels)];
  throw invalid(option, `channels from 0 to ${context.hiddenChannels - 1}`, beyond, { code: 'CHANNEL_OUT_OF_RANGE' });
}

/** The layer to disrupt by default: the one the bundle records. */
export function recordedLayer(option: string, context: Pick<GuidanceContext, 'massiveActivations'>): number {
  return recorded(option, context).layer;
}

function recorded(option: string, { massiveActivations }: Pick<GuidanceContext, 'massiveActivations'>) {
  if (massiveActivations) return massiveActivations;
  throw invalid(option, 'an explicit choice', 'auto', { note: 'this bundle records no massive activations' });
}
