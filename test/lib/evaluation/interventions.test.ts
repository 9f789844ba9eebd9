/** Interventions on the embedded model. */
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';

import { runInterventions } from '../../../lib/evaluation';
import { loadPipeline, type Pipeline } from '../../../lib/pipeline';

// A hundred pictures in all, on machines that do other work too.
jest.setTimeout(300_000);

let pipeline: Pipeline;

beforeAll(async () => {
  pipeline = await loadPipeline('embedded', { device: 'cpu' });
});
afterAll(() => pipeline.dispose());

const few = { samples: 12, numInferenceSteps: 3, batchSize: 12 };

test('an intervention that does nothing changes nothing', async () => {
  const { interventions, undisturbed } = await runInterventions(pipeline, {
    ...few,
    interventions: [{ name: 'none', guidance: {} }],
    pictures: 2,
  });
  const [none] = interventions;
  expect(none).toMatchObject({
    highShareRatio: { value: 1, low: 1, high: 1 },
    spectrumDistance: 0,
    sameClass: { value: 1, low: 1, high: 1 },
    recognised: undisturbed.recognised,
    bands: { whole: { psnr: null, snr: null }, low: { snr: null }, high: { snr: null } },
  });
  expect(none!.bands.whole.ssim.value).toBeCloseTo(1, 9);
  expect(none!.pictures).toEqual(undisturbed.pictures);
  expect(none!.pictures).toHaveLength(2);
});

test('the disruption stands beside its controls, over seeds, and repeats', async () => {
  const calls: [number, number, string][] = [];
  const ask = () => runInterventions(pipeline, { ...few, draws: 2, onProgress: (...call) => calls.push(call) });
  const { interventions, samples } = await ask();
  expect(interventions.map(({ name }) => name)).toEqual([
    'massive activations',
    'matched channels, draw 0',
    'matched channels, draw 1',
    'random tokens',
    'blur',
  ]);
  expect(samples).toBe(12);
  for (const { bands, highShare } of interventions) {
    expect(highShare.low).toBeLessThanOrEqual(highShare.value);
    expect(highShare.high).toBeGreaterThanOrEqual(highShare.value);
    expect(bands.whole.psnr!.value).toBeGreaterThan(0);
    expect(bands.low.ssim.value).toBeLessThan(1);
  }
  // Half of the tokens, half of the disruption: nearer to the undisturbed picture.
  const [whole, , , half] = interventions.map(({ bands }) => bands.whole.psnr!.value);
  expect(half!).toBeGreaterThan(whole!);
  expect(calls.at(-1)!.slice(0, 2)).toEqual([72, 72]);
  expect((await ask()).interventions).toEqual(interventions);
});

test('what cannot be is refused', async () => {
  const refused = (options: Parameters<typeof runInterventions>[1]) =>
    expect(runInterventions(pipeline, options)).rejects;
  const none = { name: 'a', guidance: {} };
  await refused({ ...few, interventions: [none, none] }).toMatchObject({ code: 'BAD_OPTION', received: 'a' });
  await refused({ ...few, layer: 8 }).toMatchObject({ code: 'LAYER_OUT_OF_RANGE' });
  await refused({ ...few, channels: [128] }).toMatchObject({ code: 'CHANNEL_OUT_OF_RANGE' });
  await refused({ samples: 1 }).toMatchObject({ code: 'BAD_OPTION' });
  await refused({ ...few, signal: AbortSignal.abort() }).toMatchObject({ code: 'ABORT_ERR' });
});
