/** Schedulers against diffusers: the same latents and the same model outputs must give the same samples. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { describe, expect, test } from '@jest/globals';

import { schedule, schedulerSchema, type Prediction, type Schedule } from '../../lib/schedule';
import { testPython } from '../../scripts/test-packages.cjs';

interface Case {
  name: string;
  options: Record<string, unknown>;
  prediction: Prediction;
  imageTokens?: number;
  scheduler: string;
  config: Record<string, unknown>;
  steps: number;
  mu?: number;
  sigmas?: number[];
  /** Stochastic DDIM, with the same fresh noise on both sides. */
  eta?: number;
}

const vp = { clip_sample: false };
const cases: Case[] = [
  ...[1, 2, 7, 30].map((steps) => ({
    name: `flow-match-euler, ${steps} steps`,
    options: { kind: 'flow-match-euler' },
    prediction: 'flow' as const,
    scheduler: 'FlowMatchEulerDiscreteScheduler',
    config: {},
    steps,
  })),
  {
    name: 'flow-match-euler, shift 3',
    options: { kind: 'flow-match-euler', shift: 3 },
    prediction: 'flow',
    scheduler: 'FlowMatchEulerDiscreteScheduler',
    config: { shift: 3 },
    steps: 28,
  },
  {
    name: 'flow-match-euler, shift 3, stretched to 0.1',
    options: { kind: 'flow-match-euler', shift: 3, shiftTerminal: 0.1 },
    prediction: 'flow',
    scheduler: 'FlowMatchEulerDiscreteScheduler',
    config: { shift: 3, shift_terminal: 0.1 },
    steps: 12,
  },
  ...(['exponential', 'linear'] as const).map((timeShiftType) => ({
    name: `flow-match-euler as Flux samples, ${timeShiftType} dynamic shift`,
    options: { kind: 'flow-match-euler', useDynamicShifting: true, timestepSpacing: 'trailing', timeShiftType },
    prediction: 'flow' as const,
    imageTokens: 1024,
    scheduler: 'FlowMatchEulerDiscreteScheduler',
    config: { use_dynamic_shifting: true, time_shift_type: timeShiftType },
    steps: 20,
    mu: 0.5 + ((1.15 - 0.5) / (4096 - 256)) * (1024 - 256),
    sigmas: Array.from({ length: 20 }, (_, index) => 1 - index / 20),
  })),
  {
    name: 'flow-match-euler, dynamic shift over the training sigmas',
    options: { kind: 'flow-match-euler', useDynamicShifting: true },
    prediction: 'flow',
    imageTokens: 256,
    scheduler: 'FlowMatchEulerDiscreteScheduler',
    config: { use_dynamic_shifting: true },
    steps: 10,
    mu: 0.5,
  },
  ...[1, 3].flatMap((shift) =>
    [2, 9].map((steps) => ({
      name: `flow-match-heun, ${steps} steps, shift ${shift}`,
      options: { kind: 'flow-match-heun', shift },
      prediction: 'flow' as const,
      scheduler: 'FlowMatchHeunDiscreteScheduler',
      config: { shift },
      steps,
    })),
  ),
  ...(['epsilon', 'v', 'sample'] as const).flatMap((prediction) =>
    (['leading', 'trailing', 'linspace'] as const).flatMap((timestepSpacing): Case[] => {
      const config = {
        prediction_type: prediction === 'v' ? 'v_prediction' : prediction,
        timestep_spacing: timestepSpacing,
      };
      const shared = { prediction, steps: 20 };
      return [
        {
          ...shared,
          name: `ddim, ${prediction}, ${timestepSpacing}`,
          options: { kind: 'ddim', timestepSpacing },
          scheduler: 'DDIMScheduler',
          config: { ...vp, ...config },
        },
        {
          ...shared,
          name: `dpm-solver++, ${prediction}, ${timestepSpacing}`,
          options: { kind: 'dpm-solver++', timestepSpacing },
          scheduler: 'DPMSolverMultistepScheduler',
          config,
        },
        {
          ...shared,
          name: `heun, ${prediction}, ${timestepSpacing}`,
          options: { kind: 'heun', timestepSpacing },
          scheduler: 'HeunDiscreteScheduler',
          config: { beta_start: 0.0001, beta_end: 0.02, ...config },
        },
      ];
    }),
  ),
  ...[0.3, 1].flatMap((eta) =>
    (['epsilon', 'v', 'sample'] as const).map((prediction): Case => ({
      name: `ddim, ${prediction}, eta ${eta}`,
      options: { kind: 'ddim', eta },
      prediction,
      scheduler: 'DDIMScheduler',
      config: {
        ...vp,
        beta_start: 0.0001,
        beta_end: 0.02,
        prediction_type: { epsilon: 'epsilon', v: 'v_prediction', sample: 'sample' }[prediction],
      },
      steps: 9,
      eta,
    })),
  ),
  ...(['scaled_linear', 'squaredcos_cap_v2'] as const).map((betaSchedule) => ({
    name: `ddim, ${betaSchedule}, steps offset, final alpha of timestep 0`,
    options: { kind: 'ddim', betaSchedule, stepsOffset: 1, setAlphaToOne: false, betaStart: 0.00085, betaEnd: 0.012 },
    prediction: 'epsilon' as const,
    scheduler: 'DDIMScheduler',
    config: {
      ...vp,
      beta_schedule: betaSchedule,
      steps_offset: 1,
      set_alpha_to_one: false,
      beta_start: 0.00085,
      beta_end: 0.012,
    },
    steps: 25,
  })),
  ...[5, 20, 100].map((steps) => ({
    name: `dpm-solver++, scaled_linear, ${steps} steps`,
    options: { kind: 'dpm-solver++', betaSchedule: 'scaled_linear', betaStart: 0.00085, betaEnd: 0.012 },
    prediction: 'epsilon' as const,
    scheduler: 'DPMSolverMultistepScheduler',
    config: { beta_schedule: 'scaled_linear', beta_start: 0.00085, beta_end: 0.012 },
    steps,
  })),
  ...[1, 3].flatMap((flowShift) =>
    [5, 18, 20].map((steps) => ({
      name: `dpm-solver++, flow, shift ${flowShift}, ${steps} steps`,
      options: { kind: 'dpm-solver++', flowShift },
      prediction: 'flow' as const,
      scheduler: 'DPMSolverMultistepScheduler',
      config: { prediction_type: 'flow_prediction', use_flow_sigmas: true, flow_shift: flowShift },
      steps,
    })),
  ),
  ...(['epsilon', 'v', 'sample'] as const).map((prediction) => ({
    name: `unipc, ${prediction}`,
    options: { kind: 'unipc' },
    prediction,
    scheduler: 'UniPCMultistepScheduler',
    config: { prediction_type: prediction === 'v' ? 'v_prediction' : prediction },
    steps: 20,
  })),
  ...[1, 3, 5].flatMap((flowShift) =>
    [1, 2, 3, 9, 50].map((steps) => ({
      name: `unipc, flow, shift ${flowShift}, ${steps} steps`,
      options: { kind: 'unipc', flowShift },
      prediction: 'flow' as const,
      scheduler: 'UniPCMultistepScheduler',
      config: { prediction_type: 'flow_prediction', use_flow_sigmas: true, flow_shift: flowShift },
      steps,
    })),
  ),
];

const elements = 6;
const evaluations = 200;
const fake = (evaluation: number, element: number) => Math.fround(Math.sin(1.7 * evaluation + 2.3 * element + 0.4));
const outputs = Array.from({ length: evaluations }, (_, evaluation) =>
  Array.from({ length: elements }, (_, element) => fake(evaluation, element)),
);
const latents = Array.from({ length: elements }, (_, element) => Math.fround(Math.cos(3.1 * element) * 1.5));

const noises = outputs.map((_, evaluation) =>
  latents.map((value, element) => Math.fround(Math.sin(value * 7 + element + evaluation))),
);

/** What the native loop does with a table, in float64. */
function apply(table: Schedule): { inputs: number[][]; samples: number[][] } {
  let sample = latents.map((value) => value * table.initialScale);
  const inputs: number[][] = [];
  const samples: number[][] = [];
  table.steps.forEach((row, evaluation) => {
    inputs.push(sample.map((value) => value * row.inputScale));
    sample = sample.map((value, element) =>
      row.outputs.reduce(
        (sum, weight, lag) => sum + weight * outputs[evaluation - lag]![element]!,
        row.sample * value + row.noise * noises[evaluation]![element]!,
      ),
    );
    samples.push(sample);
  });
  return { inputs, samples };
}

function largestDifference(found: number[][], wanted: number[][]): number {
  const scale = Math.max(1, ...wanted.flat().map(Math.abs));
  return (
    Math.max(...wanted.flatMap((row, at) => row.map((value, index) => Math.abs(found[at]![index]! - value)))) / scale
  );
}

const python = testPython();
const suite = python.path ? describe : describe.skip;

suite(`schedulers equal diffusers'${python.path ? '' : ` (skipped: ${python.reason})`}`, () => {
  const references: { timesteps: number[]; inputs: number[][]; samples: number[][] }[] = [];

  function reference(index: number) {
    if (references.length === 0) {
      const script = join(__dirname, 'reference', 'schedules.py');
      const input = JSON.stringify(
        cases.map(({ scheduler, config, steps, mu, sigmas, eta }) => ({
          scheduler,
          config,
          steps,
          mu,
          sigmas,
          eta,
          outputs,
          noises,
          latents,
        })),
      );
      const run = spawnSync(python.path!, [script], { input, encoding: 'utf8', maxBuffer: 1 << 28 });
      if (run.status !== 0) throw new Error(run.stderr);
      references.push(...(JSON.parse(run.stdout) as typeof references));
    }
    return references[index]!;
  }

  test.each(cases.map(({ name }, index) => [name, index] as const))('%s', (_name, index) => {
    const { options, prediction, imageTokens = 49, steps } = cases[index]!;
    const table = schedule(schedulerSchema.parse(options), { numInferenceSteps: steps, prediction, imageTokens });
    const wanted = reference(index);
    const found = apply(table);
    expect(table.steps).toHaveLength(wanted.timesteps.length);
    table.steps.forEach(({ timestep }, at) => {
      expect(Math.abs(timestep - wanted.timesteps[at]!)).toBeLessThan(2e-4);
    });
    // Heun of diffusers divides a float32 difference by σ, which at its smallest, 0.001, costs three digits.
    const tolerance = options['kind'] === 'flow-match-heun' ? 1e-4 : 1e-5;
    expect(largestDifference(found.inputs, wanted.inputs)).toBeLessThan(tolerance);
    expect(largestDifference(found.samples, wanted.samples)).toBeLessThan(tolerance);
  });
});
