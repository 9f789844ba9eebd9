/** Looking inside every family: the residual gates of its blocks, those of diffusers; traces; features. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { extractFeatures, traceGates, traceMagnitude, type Conditions } from '../../../lib/analysis';
import { blockOutputs } from '../../../lib/analysis/blocks';
import { findModulations } from '../../../lib/analysis/gateSites';

import { expectEqual, noise, python } from '../oracle';

import { Family, type Run } from './family';

const suite = python.path ? describe : describe.skip;
const prompt = 'a photo of a cat, sharp focus';
const steps = 2;
const asked = { prompt, numInferenceSteps: steps, maxSequenceLength: 32, height: 64, width: 64 };
const theirs = { prompt, num_inference_steps: steps, max_sequence_length: 32, height: 64, width: 64 };
const pixart = { ...theirs, guidance_scale: 1, use_resolution_binning: false, clean_caption: false };

interface Case {
  family: string;
  variant: string;
  run: Run;
  /** Branches with a gate, by layer. */
  branches: string[];
}

const both = 'attention mlp';
const cases: Case[] = [
  {
    family: 'sd3',
    variant: 'sd3',
    run: { reference: { ...theirs, guidance_scale: 1 }, ours: asked, latents: [1, 16, 16, 16] },
    branches: [both, both, both, both],
  },
  {
    family: 'sd3',
    variant: 'sd35',
    run: { reference: { ...theirs, guidance_scale: 1 }, ours: asked, latents: [1, 16, 16, 16] },
    branches: ['attention mlp attention2', 'attention mlp attention2', both, both],
  },
  {
    family: 'flux',
    variant: 'dev',
    run: { reference: { ...theirs, guidance_scale: 3.5 }, ours: asked, latents: [1, 8, 16, 16], embedded: 3.5 },
    branches: [both, both, 'block', 'block', 'block'],
  },
  {
    family: 'dit',
    variant: 'dit',
    run: {
      reference: { class_labels: [207], guidance_scale: 1, num_inference_steps: steps },
      ours: { classLabel: 207, numInferenceSteps: steps },
      latents: [1, 4, 16, 16],
    },
    branches: [both, both, both, both],
  },
  {
    family: 'pixart',
    variant: 'alpha',
    run: { reference: pixart, ours: asked, latents: [1, 4, 16, 16] },
    branches: [both, both, both, both],
  },
  {
    family: 'wan',
    variant: 'wan',
    run: {
      reference: { ...theirs, guidance_scale: 1, num_frames: 5 },
      ours: { ...asked, numFrames: 5 },
      latents: [1, 4, 2, 8, 8],
    },
    branches: [both, both, both, both],
  },
];

suite.each(cases)('$family $variant', ({ family: name, variant, run, branches }) => {
  let family: Family;
  beforeAll(async () => {
    family = await Family.open(name, variant, run.latents);
  }, 120_000);
  afterAll(() => family?.close());

  test('the modulation of each block is that of diffusers', async () => {
    const { pipeline } = family;
    const wanted = await family.reference(run);
    const { hiddenChannels } = pipeline.bundle.transformer;
    const blocks = blockOutputs(pipeline.sites, 'image');
    const found = findModulations(pipeline.sites, await pipeline.shapes(), blocks, hiddenChannels);
    expect(found.map(({ gates }) => gates.map(({ branch }) => branch).join(' '))).toEqual(branches);
    const hooks = found.map(({ path }) => ({ path }));
    const { captures } = await pipeline.forward(await family.firstInputs(run), { hooks });
    captures.forEach(({ tensor }, at) => {
      const expected = wanted[`modulation.${found[at]!.layer}`]!;
      expectEqual(`${name} ${variant}: modulation ${at}`, { ...tensor, shape: expected.shape }, expected);
    });
  });

  test('gates and magnitudes are traced over all blocks', async () => {
    const { numInferenceSteps, ...conditions } = run.ours;
    const options = { channels: [7, 19], conditions: [conditions as Conditions], numInferenceSteps };
    const { gates, timesteps } = await traceGates(family.pipeline, options);
    expect(timesteps).toHaveLength(steps);
    expect(gates.map(({ branch }) => branch).join(' ')).toBe(branches.join(' '));
    const { hiddenChannels } = family.pipeline.bundle.transformer;
    for (const { gate, activation, overlap, ranks, correlation } of gates) {
      expect([gate.length, activation.length]).toEqual([hiddenChannels, hiddenChannels]);
      expect(gate.some((value) => value > 0)).toBe(true);
      expect([0, 0.5, 1]).toContain(overlap);
      expect(new Set(ranks).size).toBe(2);
      expect(Math.abs(correlation)).toBeLessThanOrEqual(1);
    }
    const trace = await traceMagnitude(family.pipeline, { ...options, seeds: 2 });
    expect(trace.layers.map(({ layer }) => layer)).toEqual(branches.map((_, layer) => layer));
    expect(trace.nonFinite).toBe(0);
  });

  const { prompt: text, maxSequenceLength } = run.ours;
  if (typeof text !== 'string') return; // DiT: by class
  test('features under a prompt', async () => {
    const { pipeline } = family;
    const { latent, transformer } = pipeline.bundle;
    const encoded = await pipeline.encodePrompt(text, { maxSequenceLength });
    const inputs = await family.firstInputs(run);
    for (const [input, tensor] of Object.entries(encoded)) expect(tensor).toEqual(inputs[input]);
    const shape = [1, latent.channels, latent.height, latent.width];
    const common = { latents: noise(shape, 5), layer: 1, kind: 'mrep' as const, channels: [7, 19], ensemble: 2 };
    const extract = async (conditions?: Conditions) =>
      (await extractFeatures(pipeline, { ...common, conditions })).features;
    if (latent.frames !== undefined) {
      // Videos have no features here, and it is said so.
      await expect(extractFeatures(pipeline, { ...common, latents: noise(run.latents, 5) })).rejects.toMatchObject({
        code: 'BAD_TENSOR',
      });
      return;
    }
    const features = await extract({ prompt: text, maxSequenceLength });
    const [rows, columns] = transformer.tokenGrid;
    expect(features.shape).toEqual([1, rows * columns, transformer.hiddenChannels + 2]);
    expect(await extract({ conditioning: encoded })).toEqual(features);
    expect(await extract({ prompt: '' })).toEqual(await extract());
    expect(await extract()).not.toEqual(features);
    await expect(extract({ prompt: [text] })).rejects.toMatchObject({ code: 'BAD_OPTION' });
  });
});
