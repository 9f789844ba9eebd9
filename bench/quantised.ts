/** Ways to quantise that are timed against bfloat16, and whether they can be here. */
import { DetailGuidanceError, loadPipeline, type QuantizeOptions } from '../lib';

/** `bf16-over-…@0.5` of the benchmark; those with `isKept` keep the channels that the task disrupts in float32. */
const ways = {
  int8: { isKept: true, quantize: {} },
  'int8-all': { isKept: false, quantize: {} },
  fp8: { isKept: true, quantize: { weights: 'fp8' } },
  'weight-only': { isKept: true, quantize: { activations: 'none' } },
} as const satisfies Record<string, { isKept: boolean; quantize: QuantizeOptions }>;

export type QuantisedWay = keyof typeof ways;

export const quantisedWays = Object.keys(ways) as QuantisedWay[];

/** The channels stand for massive ones: the benchmark's models have random weights, and none of their own. */
export function quantizeOptions(way: QuantisedWay, channels: number[]): QuantizeOptions {
  const { isKept, quantize } = ways[way];
  return { ...quantize, channels: isKept ? channels : [] };
}

/** Why a way is not timed on a device, whatever the processor: null where it may be. */
export function withoutGain(way: QuantisedWay, device: string, size: string): string | null {
  // Tiny models prove the script.
  if (device !== 'cpu' || size.startsWith('tiny') || way.startsWith('int8')) return null;
  return 'on a CPU it saves memory or says what it costs, and no time';
}

/** Why a device does not compute it, or null. */
export async function withoutProduct(way: QuantisedWay, device: string): Promise<string | null> {
  try {
    const pipeline = await loadPipeline('embedded', { device, quantize: quantizeOptions(way, []) });
    await pipeline.dispose();
    return null;
  } catch (error) {
    if (error instanceof DetailGuidanceError && error.code === 'PRECISION_UNAVAILABLE') return error.message;
    throw error;
  }
}
