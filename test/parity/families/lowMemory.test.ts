/** `lowMemory`: the same pictures, with one part of the bundle in memory at a time. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';

import { loadPipeline, type GenerateOptions } from '../../../lib';
import { native, type NativeRun } from '../../../lib/native';
import { python } from '../oracle';

import { drawing, Family } from './family';

const suite = python.path ? describe : describe.skip;

/** Counts the models and components that are loaded, and how many were at once. */
function watchParts() {
  const parts = { loaded: 0, alive: 0, most: 0 };
  const watch = <Part extends { dispose(): Promise<void> }>(part: Part): Part => {
    parts.loaded++;
    parts.most = Math.max(parts.most, ++parts.alive);
    const dispose = part.dispose.bind(part);
    const counted = async () => {
      await dispose();
      parts.alive--;
    };
    return Object.defineProperty(part, 'dispose', { value: counted });
  };
  const addon = native();
  const { load, loadComponent } = addon;
  const watched = <Part extends { dispose(): Promise<void> }>(run: NativeRun<Part>) => ({
    ...run,
    promise: run.promise.then(watch),
  });
  jest.spyOn(addon, 'load').mockImplementation((options) => watched(load(options)));
  jest.spyOn(addon, 'loadComponent').mockImplementation((options) => watched(loadComponent(options)));
  return parts;
}

suite('lowMemory', () => {
  let family: Family;
  beforeAll(async () => {
    family = await Family.open('sd3', 'sd3');
  }, 120_000);
  afterAll(() => family?.close());

  test.each<[string, GenerateOptions]>([
    ['text to image', {}],
    ['image to image', { image: drawing(48, 64, 3), strength: 0.6 }],
  ])('%s', async (_name, more) => {
    const options: GenerateOptions = {
      prompt: 'a photo of a cat',
      negativePrompt: 'blurry',
      width: 64,
      height: 48,
      maxSequenceLength: 32,
      numInferenceSteps: 3,
      seed: 5,
      guidance: { classifierFree: { scale: 4 }, detail: { scale: 0.5, layer: 1, channels: [7] } },
      ...more,
    };
    const wanted = await family.pipeline.generate(options);
    const parts = watchParts();
    try {
      await using pipeline = await loadPipeline(family.folder, { device: 'cpu', lowMemory: true });
      const { loaded } = parts;
      const found = await pipeline.generate(options);
      expect([...found.images[0]!.pixels]).toEqual([...wanted.images[0]!.pixels]);
      // Three text encoders, the transformer, the VAE's parts: all anew, and never two of them.
      expect(parts.loaded - loaded).toBeGreaterThanOrEqual(5);
      expect(parts).toMatchObject({ alive: 0, most: 1 });
    } finally {
      jest.restoreAllMocks();
    }
  });
});
