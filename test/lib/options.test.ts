import { describe, expect, jest, test } from '@jest/globals';

import { z } from 'zod';

import * as analysis from '../../lib/analysis';
import { checkPrompts } from '../../lib/call/prompts';
import { generateSchema, type GenerateOptions } from '../../lib/request/generateOptions';
import { loadSchema } from '../../lib/model/loadOptions';
import { drawLineChart, drawSheet } from '../../lib/evaluation';
import { createServer } from '../../lib/server';
import * as errors from '../../lib/validation/errors';
import { show } from '../../lib/validation/invalid';
import { parse } from '../../lib/validation/parse';

import { errorOf } from './model';

const generate = (options: unknown) => errorOf(() => parse(generateSchema, options, 'options'));
const load = (options: unknown) => errorOf(() => parse(loadSchema, options, 'options'));

const cyclic: unknown[] = [];
cyclic.push(cyclic);

test('what cannot be read is refused, and shown, without a throw of its own', () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const traps = {
    ownKeys: () => {
      throw new Error('trapped');
    },
  };
  for (const value of [proxy, new Proxy({}, traps)]) {
    expect(generate(value)).toMatchObject({ code: 'BAD_OPTION' });
    expect(generate({ guidance: value })).toMatchObject({ code: 'BAD_OPTION' });
    expect(show([value])).toBe('what cannot be read');
  }
});

test('instanceof holds for the errors of another copy of the package, and tells classes apart', () => {
  let other = errors;
  jest.isolateModules(() => (other = jest.requireActual<typeof errors>('../../lib/validation/errors')));
  const { AbortError, DetailGuidanceError } = errors;
  expect(other.DetailGuidanceError).not.toBe(DetailGuidanceError);
  class Own extends DetailGuidanceError {}
  const [plain, aborted] = [new other.DetailGuidanceError('BAD_OPTION', 'x'), new other.AbortError()];
  const is = (error: unknown) => [DetailGuidanceError, AbortError, Own].map((type) => error instanceof type);
  expect(is(plain)).toEqual([true, false, false]);
  expect(is(aborted)).toEqual([true, true, false]);
  expect(is(new Own('BAD_OPTION', 'x'))).toEqual([true, false, true]);
  expect(is(new Error('x'))).toEqual([false, false, false]);
  expect(errors.wrapNative(plain)).toBe(plain);
});

test.each<[string, (nothing: never) => unknown]>([
  ['drawSheet', drawSheet],
  ['drawLineChart', drawLineChart],
  ['drawMap', analysis.drawMap],
  ['selectivity', analysis.selectivity],
  ['spatialMap', (nothing) => analysis.spatialMap(nothing, 0, [1, 1])],
  ['disruptTokens', (nothing) => analysis.disruptTokens(nothing, 0)],
  ['partCorrespondence', (nothing) => analysis.partCorrespondence(nothing, nothing, [1, 1], 1, [])],
  ['writeMassiveActivations', (nothing) => analysis.writeMassiveActivations(nothing, nothing, 'x')],
  ['findMassiveActivations', analysis.findMassiveActivations],
  ['createServer', createServer],
])('%s of null is refused', async (_name, call) => {
  await expect((async () => call(null as never))()).rejects.toMatchObject({ code: 'BAD_OPTION' });
});

describe('bad options of generate', () => {
  test.each<[string, unknown, RegExp]>([
    ['an unknown option', { sed: 1 }, /^options\.sed: expected 'seed' \(known: prompt, /],
    ['an unknown technique', { guidance: { detial: {} } }, /^options\.guidance\.detial: expected 'detail'/],
    [
      'an unknown option of a technique',
      { guidance: { classifierFree: { scal: 2 } } },
      /^options\.guidance\.classifierFree\.scal: expected 'scale'/,
    ],
    [
      'an unknown option in a union',
      { guidance: { detail: { chanels: [1] } } },
      /detail\.chanels: expected 'channels'/,
    ],
    [
      'an option in a list',
      { guidance: { detail: [{ scale: 'x' }] } },
      /^options\.guidance\.detail\[0\]\.scale: expected .*, received 'x'/,
    ],
    [
      'a wrong type',
      { numInferenceSteps: '30' },
      /^options\.numInferenceSteps: expected a whole number from 1 to 1000.*, received '30'/,
    ],
    [
      'a fraction for a count',
      { numImages: 1.5 },
      /^options\.numImages: expected a whole number from 1.*, received 1\.5/,
    ],
    [
      'NaN for a scale',
      { guidance: { detail: { scale: NaN } } },
      /detail\.scale: expected a finite number from 0 to 100.*, received NaN/,
    ],
    [
      'an infinite scale',
      { guidance: { classifierFree: { scale: Infinity } } },
      /scale: expected a finite number.*, received Infinity/,
    ],
    [
      'a negative scale',
      { guidance: { classifierFree: { scale: -1 } } },
      /scale: expected a finite number from 0 to 100.*, received -1/,
    ],
    [
      'a window beyond 1',
      { guidance: { detail: { stop: 1.1 } } },
      /stop: expected a finite number from 0 to 1.*, received 1\.1/,
    ],
    ['a negative seed', { seed: -1 }, /^options\.seed: expected a whole number from 0.*, received -1/],
    ['a seed that is no number', { seed: '12' }, /^options\.seed: expected .*, received '12'/],
    ['a negative layer', { guidance: { detail: { layer: -1 } } }, /layer: expected .*, received -1/],
    [
      'channels by another name',
      { guidance: { detail: { channels: 'all' } } },
      /channels: expected 'auto' or a list.*, received 'all'/,
    ],
    ['no channels', { guidance: { detail: { channels: [] } } }, /channels: expected .*, received \[\]/],
    ['latents that are no tensor', { latents: [1, 2] }, /^options\.latents: expected a tensor.*, received \[1, 2\]/],
    ['a callback that is none', { onStep: 'log' }, /^options\.onStep: expected a function.*, received 'log'/],
    ['a signal that is none', { signal: {} }, /^options\.signal: expected an AbortSignal.*, received .*/],
    ['a list that holds itself', { classLabel: cyclic }, /^options\.classLabel.*: expected /],
    ...[
      ['seed', { seed: new Array(2 ** 32 - 1) }],
      ['classLabel', { classLabel: new Array(2 ** 32 - 1) }],
      ['guidance.detail[0].channels', { guidance: { detail: [{ channels: new Array(2 ** 31) }] } }],
    ].map(([path, options]): [string, unknown, RegExp] => [
      `a list of billions as ${String(path)}`,
      options,
      new RegExp(
        `^options\\.${String(path).replaceAll(/[.[\]]/g, '\\$&')}: expected a list of at most 16777216 entries`,
      ),
    ]),
    ['null', null, /^options: expected .*, received null/],
    ['a list', [], /^options: expected .*, received \[\]/],
  ])('%s', (_name, options, message) => {
    expect(generate(options)).toMatchObject({ code: 'BAD_OPTION', message: expect.stringMatching(message) });
  });
});

test('a union of literals names them', () => {
  const schema = z.strictObject({ channels: z.union([z.literal(1), z.literal(3)]) });
  const error = errorOf(() => parse(schema, { channels: 4 }, 'image'));
  expect(error.message).toBe('image.channels: expected 1 or 3, received 4.');
});

describe('bad options of loadPipeline', () => {
  test.each<[string, unknown, RegExp]>([
    [
      'another device',
      { device: 'gpu' },
      /^options\.device: expected 'auto', 'cpu', 'cuda' or 'cuda:N'.*, received 'gpu'/,
    ],
    ['another dtype', { dtype: 'float64' }, /^options\.dtype: expected one of 'auto', 'float32'.*, received 'float64'/],
    ['an unknown option', { devise: 'cpu' }, /^options\.devise: expected 'device'/],
  ])('%s', (_name, options, message) => {
    expect(load(options)).toMatchObject({ code: 'BAD_OPTION', message: expect.stringMatching(message) });
  });
});

describe('of a model with text encoders', () => {
  const conditioning = { kind: 'text' as const, maxSequenceLength: { default: 16, maximum: 32 }, inputs: {} };
  const check = (options: GenerateOptions) => checkPrompts(parse(generateSchema, options, 'options'), { conditioning });
  const tensors = { text: { data: new Float32Array(1), shape: [1, 1], dtype: 'float32' as const } };

  test.each<[GenerateOptions, string]>([
    [{ prompt: 'a cat', conditioning: tensors }, 'options.conditioning: expected nothing beside a prompt'],
    [
      { prompt: 'a cat', negativeConditioning: tensors },
      'options.negativeConditioning: expected nothing beside a prompt',
    ],
    [{ conditioning: tensors, negativePrompt: 'rain' }, 'options.negativePrompt: expected nothing without a prompt'],
    [{ conditioning: tensors, maxSequenceLength: 9 }, 'options.maxSequenceLength: expected nothing without a prompt'],
  ])('%j would not be seen', (options, message) => {
    expect(errorOf(() => check(options))).toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringContaining(message),
    });
  });

  test('a prompt with its options, or tensors with theirs', () => {
    expect(() => check({ prompt: 'a cat', negativePrompt: 'rain', maxSequenceLength: 9 })).not.toThrow();
    expect(() => check({ conditioning: tensors, negativeConditioning: tensors })).not.toThrow();
  });
});

test('defaults are filled in', () => {
  expect(parse(generateSchema, {}, 'options')).toEqual({
    batchSize: 1,
    partialForward: true,
    vaeTiling: false,
    preview: false,
  });
  expect(parse(loadSchema, {}, 'options')).toEqual({
    device: 'auto',
    devices: {},
    dtype: 'float32',
    lowMemory: false,
    checkMemory: true,
    allowAllOperators: false,
    firstEvaluationLimit: 600,
    fuse: true,
  });
});
