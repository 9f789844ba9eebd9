/** Callbacks that return promises, and signals that many calls share. */
import { getEventListeners } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { loadPipeline, quantizeBundle, type GenerateOptions, type Pipeline, type StepEvent } from '../../../lib';
import { findHighNormTokens, findMassiveActivations, traceGates, traceMagnitude } from '../../../lib/analysis';
import { evaluate, runInterventions, type EvaluateOptions } from '../../../lib/evaluation';

let pipeline: Pipeline;
let folder: string;
const options: GenerateOptions = { classLabel: 2, seed: 4, numInferenceSteps: 6 };
const turn = () => new Promise((resolve) => setImmediate(resolve));
const evaluation = (more: Partial<EvaluateOptions>): EvaluateOptions => ({
  out: mkdtempSync(join(folder, 'evaluation-')),
  reference: join(folder, 'reference'),
  samples: 2,
  numInferenceSteps: 2,
  ...more,
});
const never = new Promise<void>(() => undefined);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'callbacks-'));
  mkdirSync(join(folder, 'reference'));
  pipeline = await loadPipeline('embedded', { device: 'cpu' });
  const { images } = await pipeline.generate({ ...options, numImages: 2 });
  for (const [index, image] of images.entries()) await image.save(join(folder, 'reference', `${index}.png`));
});
afterAll(async () => {
  await pipeline?.dispose();
  rmSync(folder, { recursive: true, force: true });
});

describe('the run waits for onStep', () => {
  test('one step is dealt with at a time, in order, and the call ends after the last', async () => {
    const log: string[] = [];
    const onStep = async ({ step }: { step: number }) => {
      log.push(`${step} begins`);
      for (let turns = 0; turns < 20; turns++) await turn();
      log.push(`${step} ends`);
    };
    await pipeline.generate({ ...options, onStep });
    expect(log).toEqual([1, 2, 3, 4, 5, 6].flatMap((step) => [`${step} begins`, `${step} ends`]));
  });

  test('the same picture as without', async () => {
    const [slow, plain] = [await pipeline.generate({ ...options, onStep: turn }), await pipeline.generate(options)];
    expect(slow.images[0]!.pixels).toEqual(plain.images[0]!.pixels);
  });

  test('also while activations are read', async () => {
    const steps: number[] = [];
    const records = pipeline.activations({
      generate: { ...options, onStep: async ({ step }) => void steps.push((await turn(), step)) },
    });
    let count = 0;
    for await (const record of records) count += record.nonFinite === 0 ? 1 : 0;
    expect(count).toBeGreaterThan(6);
    expect(steps).toEqual([1, 2, 3, 4, 5, 6]);
  });
});

describe('what a callback throws, or its promise rejects with, ends the call', () => {
  const failure = new Error('the reader has gone');
  const throws = () => {
    throw failure;
  };
  const rejects = async () => {
    await turn();
    throw failure;
  };

  test.each<[string, GenerateOptions]>([
    ['onStep throws', { onStep: throws }],
    ['onStep rejects', { onStep: rejects }],
    ['onStep rejects at the last step', { onStep: ({ step }) => (step === 6 ? rejects() : undefined) }],
    ['onProgress throws', { onProgress: throws }],
    ['onProgress rejects', { onProgress: rejects }],
    ['onProgress rejects in the middle', { onProgress: ({ done }) => (done === 3 ? rejects() : undefined) }],
  ])('%s', async (_name, callbacks) => {
    await expect(pipeline.generate({ ...options, ...callbacks })).rejects.toBe(failure);
    expect((await pipeline.generate(options)).images).toHaveLength(1);
  });

  const short = { numInferenceSteps: 2 };
  const looked = { ...short, conditions: [{ classLabel: 1 }] };
  test.each<[string, (onProgress: () => unknown) => Promise<unknown>]>([
    ['findMassiveActivations', (onProgress) => findMassiveActivations(pipeline, { ...looked, onProgress })],
    ['traceMagnitude', (onProgress) => traceMagnitude(pipeline, { ...looked, onProgress })],
    ['traceGates', (onProgress) => traceGates(pipeline, { ...looked, onProgress })],
    ['findHighNormTokens', (onProgress) => findHighNormTokens(pipeline, { ...looked, onProgress })],
    ['runInterventions', (onProgress) => runInterventions(pipeline, { ...short, samples: 2, onProgress })],
    ['evaluate', (onProgress) => evaluate(pipeline, evaluation({ onProgress }))],
    ['quantizeBundle', (onProgress) => quantizeBundle('embedded', { out: join(folder, 'int8'), onProgress })],
    ['preview', (preview) => pipeline.generate({ ...options, onStep: turn, preview: preview as () => boolean })],
  ])('of %s', async (_name, call) => {
    await expect(call(throws)).rejects.toBe(failure);
    await expect(call(rejects)).rejects.toBe(failure);
  });

  test('while activations are read', async () => {
    const read = async () => {
      for await (const record of pipeline.activations({ generate: { ...options, onStep: rejects } })) void record;
    };
    await expect(read()).rejects.toBe(failure);
  });
});

test('a promised answer says whether there is a preview', async () => {
  const shown: boolean[] = [];
  const onStep = ({ preview }: StepEvent) => void shown.push(preview !== undefined);
  await pipeline.generate({ ...options, onStep, preview: async ({ step }) => (await turn(), step === 2) });
  expect(shown).toEqual([1, 2, 3, 4, 5, 6].map((step) => step === 2));
});

describe('a callback that never comes back', () => {
  test('does not hold up the abort of an analysis', async () => {
    const controller = new AbortController();
    const onProgress = () => (controller.abort(), never);
    const call = traceMagnitude(pipeline, { numInferenceSteps: 2, signal: controller.signal, onProgress });
    await expect(call).rejects.toMatchObject({ code: 'ABORT_ERR' });
  });

  test('does not hold up an abort', async () => {
    const controller = new AbortController();
    const call = pipeline.generate({ ...options, signal: controller.signal, onStep: () => never });
    setTimeout(() => controller.abort(), 30);
    await expect(call).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' });
    expect((await pipeline.generate(options)).images).toHaveLength(1);
  });

  test.each<[string, GenerateOptions]>([
    ['in the middle', { onStep: () => never }],
    ['at the last step', { onStep: ({ step }) => (step === 6 ? never : undefined) }],
    ['before the first', { onProgress: () => never }],
  ])('does not hold up dispose(), %s', async (_name, callbacks) => {
    const other = await loadPipeline('embedded', { device: 'cpu' });
    const call = other.generate({ ...options, ...callbacks });
    setTimeout(() => void other.dispose(), 200);
    await expect(call).rejects.toMatchObject({ code: 'DISPOSED' });
  });
});

test('many calls that wait on one signal are one listener, and all end with it', async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const calls = Array.from({ length: 40 }, () => pipeline.generate({ ...options, numInferenceSteps: 200, signal }));
  const ended = Promise.allSettled(calls);
  await turn();
  expect(pipeline.waiting).toBe(39);
  expect(getEventListeners(signal, 'abort')).toHaveLength(1);
  controller.abort();
  for (const each of await ended) expect(each).toMatchObject({ reason: { code: 'ABORT_ERR' } });
  expect(pipeline.waiting).toBe(0);
});
