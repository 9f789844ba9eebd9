/**
 * Every guidance technique over a whole sampling run, against Python: the technique's equation, PyTorch's own forward
 * hooks and diffusers' own sampler (test/parity/reference/guidance.py). fp32 on the CPU, 1e-4 relative.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { loadPipeline, type Pipeline } from '../../lib';

import { difference, expectEqual, noise, Oracle, python } from './oracle';
import { generate, reference, optionsOf, type SamplingCase } from './sampling';
import { subjects, type Subject } from './subjects';

const suite = python.path ? describe : describe.skip;

function casesOf({ name, layers }: Subject): SamplingCase[] {
  const layer = Math.floor(layers.length / 2);
  const detail = { scale: 0.8, layer, channels: [7, 19] };
  const cfg = { scale: 3 };
  return [
    { name: 'the conditional prediction alone', guidance: {} },
    { name: 'classifierFree', guidance: { classifierFree: cfg } },
    { name: 'classifierFree in a window', guidance: { classifierFree: { scale: 3, start: 0.2, stop: 0.7 } } },
    { name: 'detail', guidance: { detail } },
    {
      name: 'detail with the channels of the bundle',
      guidance: { detail: { scale: 0.5, layer: 0, channels: [7, 19] } },
    },
    { name: 'detail and classifierFree', guidance: { classifierFree: cfg, detail } },
    {
      name: 'detail and classifierFree in windows of their own',
      guidance: { classifierFree: { ...cfg, start: 0.3 }, detail: { ...detail, stop: 0.6 } },
    },
    { name: 'detail at several layers at once', guidance: { detail: { ...detail, layer: [0, layer] } } },
    {
      name: 'several degraded branches',
      guidance: {
        classifierFree: cfg,
        detail: [
          { ...detail, layer: 0 },
          { ...detail, layer: 2, channels: [1, 2, 3], stop: 0.5 },
        ],
      },
    },
    { name: 'Local Detail Guidance', guidance: { detail: { ...detail, tokens: [0, 1, 5, 6, 10] } } },
    {
      name: 'Local Detail Guidance by a mask',
      guidance: {
        detail: {
          ...detail,
          tokens: [
            [1, 0],
            [0, 0],
          ],
        },
      },
    },
    { name: 'retention, constant', guidance: { detail: { ...detail, retention: 0.4 } } },
    {
      name: 'retention, linear',
      guidance: { detail: { ...detail, retention: { kind: 'linear', data: 1, noise: 0 } } },
    },
    {
      name: 'retention, cosine',
      guidance: { detail: { ...detail, retention: { kind: 'cosine', data: 0.2, noise: 0.9 } } },
    },
    {
      name: 'retention, table',
      guidance: {
        detail: { ...detail, retention: { kind: 'table', times: [0.1, 0.5, 0.8], values: [0, 0.9, 0.3] } },
      },
    },
    { name: 'disrupt', guidance: { disrupt: { layer, channels: [7, 19] } } },
    {
      name: 'control: matched channels',
      guidance: { detail: { ...detail, control: { kind: 'matched-channels', seed: 3 } } },
    },
    {
      name: 'control: random tokens',
      guidance: { detail: { ...detail, control: { kind: 'random-tokens', share: 0.4, seed: 3 } } },
    },
    { name: 'control: blurred hidden state', guidance: { blur: { scale: 0.5, layer, sigma: 1 } } },
    { name: 'slg', guidance: { slg: { scale: 1.5, layers: [1, layer], start: 0.01, stop: 0.6 } } },
    { name: 'slg of the first block', guidance: { slg: { scale: 1.5, layers: [0], start: 0.01, stop: 1 } } },
    { name: 'pag', guidance: { classifierFree: cfg, pag: { scale: 1, layers: [layer] } } },
    { name: 'seg', guidance: { seg: { scale: 1, layers: [layer] } } },
    { name: 'seg, sigma 1', guidance: { seg: { scale: 1, layers: [0, layer], sigma: 1 } } },
    { name: 'tpg', guidance: { tpg: { scale: 0.5, layers: [1, layer], seed: 6 } } },
    { name: 's2', guidance: { s2: { scale: 0.5, share: 0.3, seed: 2 } } },
    { name: 'apg', guidance: { classifierFree: { scale: 4 }, apg: { eta: 0.2, normThreshold: 5, momentum: -0.5 } } },
    {
      name: 'apg without a limit, in a window',
      guidance: { classifierFree: { scale: 4 }, apg: { normThreshold: 0, momentum: 0, start: 0.3 } },
    },
    { name: 'cfgZeroStar', guidance: { classifierFree: { scale: 4 }, cfgZeroStar: { zeroSteps: 2 } } },
    { name: 'rescale', guidance: { classifierFree: { scale: 5 }, rescale: { factor: 0.7 } } },
    {
      name: 'all together',
      guidance: {
        classifierFree: { scale: 4 },
        detail: { ...detail, retention: { kind: 'linear', data: 0, noise: 1 }, tokens: [2, 3, 7], start: 0.2 },
        slg: { scale: 0.5, layers: [1], stop: 0.5 },
        pag: { scale: 0.3, layers: [0] },
        tpg: { scale: 0.3, layers: [layer] },
        apg: { eta: 0.1, normThreshold: 3, momentum: -0.4 },
        rescale: { factor: 0.5 },
      },
    },
    { name: 'reuse of classifierFree', guidance: { classifierFree: { ...cfg, reuse: 2 } }, steps: 8 },
    {
      name: 'reuse of both, in windows',
      guidance: {
        classifierFree: { ...cfg, reuse: 3, stop: 0.9 },
        detail: { ...detail, reuse: 2, start: 0.2, stop: 0.8 },
      },
      steps: 9,
    },
    {
      name: 'reuse while little changes',
      guidance: { classifierFree: cfg, detail: { ...detail, reuse: { threshold: 0.4 } } },
      steps: 9,
    },
    {
      name: "branches of one's own",
      guidance: {
        branches: [
          { weight: 3 },
          { weight: -0.5, conditioning: 'unconditional' },
          { weight: -0.3, edits: [{ operation: 'zero', layer: 1, channels: [7, 19] }] },
          { weight: -0.2, edits: [{ operation: 'mean', layer, channels: [7], tokens: [0, 1, 2, 3] }] },
          { weight: -0.2, edits: [{ operation: 'affine', layer: 0, channels: [3, 4], scale: [0.5, 2], shift: 0.7 }] },
          {
            weight: -0.4,
            edits: [
              { operation: 'transplant', layer: 1, channels: [5, 6], source: noise([1, 16, 48], 91) },
              { operation: 'retain', layer, tokens: [4, 5], retention: { kind: 'linear', data: 0, noise: 0.8 } },
            ],
          },
          { weight: -0.1, edits: [{ operation: 'skip', layer: 1, stream: 'image' }] },
          { weight: -0.1, edits: [{ operation: 'shuffle', layer: 1, seed: 5 }] },
          { weight: -0.1, edits: [{ operation: 'identity', layer: 0 }] },
          { weight: -0.1, edits: [{ operation: 'match', layer, channels: [1, 2, 3], reference: [7] }] },
        ],
      },
      steps: 4,
    },
    ...(name === 'dit' ? schedulers : []),
  ];
}

const betas = { beta_start: 0.0001, beta_end: 0.02, timestep_spacing: 'linspace' };
const guided: SamplingCase['guidance'] = {
  classifierFree: { scale: 3 },
  detail: { scale: 0.5, layer: 2, channels: [7, 19] },
};
/** Samplers that look back, and that scale what the model is given. */
const schedulers: SamplingCase[] = [
  {
    name: 'dpm-solver++',
    guidance: guided,
    steps: 8,
    scheduler: [
      { kind: 'dpm-solver++', timestepSpacing: 'linspace' },
      { class: 'DPMSolverMultistepScheduler', config: betas },
    ],
  },
  {
    name: 'ddim with fresh noise',
    guidance: guided,
    steps: 6,
    seed: 41,
    scheduler: [
      { kind: 'ddim', timestepSpacing: 'leading', eta: 0.7 },
      { class: 'DDIMScheduler', config: { ...betas, timestep_spacing: 'leading', clip_sample: false }, eta: 0.7 },
    ],
  },
  {
    name: 'heun',
    guidance: guided,
    steps: 5,
    scheduler: [
      { kind: 'heun', timestepSpacing: 'linspace' },
      { class: 'HeunDiscreteScheduler', config: betas, scaled: true, heun: true },
    ],
  },
];

suite(`guidance equals its equations in Python${python.path ? '' : ` (skipped: ${python.reason})`}`, () => {
  let oracle: Oracle;
  beforeAll(() => {
    oracle = new Oracle();
  });
  afterAll(() => oracle?.close());

  describe.each(subjects.map((subject) => [subject.name, subject] as const))('%s', (name, subject) => {
    let pipeline: Pipeline;
    let plain: Awaited<ReturnType<typeof generate>>;

    beforeAll(async () => {
      pipeline = await loadPipeline(await oracle.bundle(name), { device: 'cpu' });
      plain = await generate(pipeline, subject, { name: '', guidance: {} });
    }, 120_000);
    afterAll(async () => pipeline?.dispose());

    test.each(casesOf(subject).map((each) => [each.name, each] as const))('%s', async (_name, each) => {
      const found = await generate(pipeline, subject, each);
      const plan = pipeline.plan(optionsOf(subject, each));
      const { latents: wanted, evaluations } = await reference(oracle, subject, each, plan);
      // The technique does something, so that equality says something.
      if (Object.keys(each.guidance).length > 0) expect(difference(wanted, plain.latents)).toBeGreaterThan(1e-3);
      expectEqual(`${name}: ${_name}`, found.latents, wanted);
      if (_name.startsWith('reuse')) expect(found.evaluations).toBe(evaluations);

      const couldShare = plan.steps.some(({ weights }) => {
        const evaluated = plan.branches.filter((_, index) => weights[index] !== 0);
        return new Set(evaluated.map(({ conditioning }) => conditioning)).size < evaluated.length;
      });
      expect(found.execution.partialForward.reason).toBeNull();
      expect(found.execution.partialForward.shared).toBe(couldShare);
    });
  });
});
