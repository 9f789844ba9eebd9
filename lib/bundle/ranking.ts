/** The order of the channels by strength, from the statistics that come with a bundle. */
import { z } from 'zod';

import type { BundleManifest } from './manifest';

/** What is read of the statistics: the mean of |z| of every channel, by block and timestep. */
const statisticsSchema = z.looseObject({
  blocks: z.array(z.looseObject({ layer: z.int().min(0), channelMeans: z.array(z.array(z.number())).min(1) })),
});

/**
 * For each layer, the channels of the hidden state, the strongest first (mean of |z| over the measured timesteps).
 * Null for a bundle without statistics, or with statistics of another form, which are for people then.
 */
export async function readRanking(
  { massiveActivations }: BundleManifest,
  read: (file: string) => Promise<Buffer>,
): Promise<Map<number, readonly number[]> | null> {
  const file = massiveActivations?.statistics;
  if (file === undefined) return null;
  const text = (await read(file)).toString('utf8');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  const { data } = statisticsSchema.safeParse(json);
  if (!data) return null;
  return new Map(data.blocks.map(({ layer, channelMeans }) => [layer, strongestFirst(channelMeans)]));
}

function strongestFirst(byTimestep: number[][]): number[] {
  const sums = byTimestep[0]!.map((_, channel) => byTimestep.reduce((sum, means) => sum + (means[channel] ?? 0), 0));
  return sums.map((_, channel) => channel).sort((a, b) => sums[b]! - sums[a]! || a - b);
}
