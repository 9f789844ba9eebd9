import { describe, expect, test } from '@jest/globals';

import { generateSchema } from '../../lib/call/generateOptions';
import { loadSchema } from '../../lib/model/loadOptions';
import { parse } from '../../lib/validation/parse';

import { errorOf } from './model';

const generate = (options: unknown) => errorOf(() => parse(generateSchema, options, 'options'));
const load = (options: unknown) => errorOf(() => parse(loadSchema, options, 'options'));

describe('bad options of generate', () => {
  test.each<[string, unknown, RegExp]>([
    ['an unknown option', { sed: 1 }, /^options\.sed is not known: 'seed' is near; known are prompt, /],
    ['an unknown technique', { guidance: { detial: {} } }, /^options\.guidance\.detial is not known: 'detail'/],
    [
      'an unknown option of a technique',
      { guidance: { classifierFree: { scal: 2 } } },
      /^options\.guidance\.classifierFree\.scal is not known: 'scale'/,
    ],
    [
      'an unknown option in a union',
      { guidance: { detail: { chanels: [1] } } },
      /detail\.chanels is not known: 'channels'/,
    ],
    [
      'an option in a list',
      { guidance: { detail: [{ scale: 'x' }] } },
      /^options\.guidance\.detail\[0\]\.scale is 'x'/,
    ],
    ['a wrong type', { numInferenceSteps: '30' }, /^options\.numInferenceSteps is '30'; a whole number from 1 to 1000/],
    ['a fraction for a count', { numImages: 1.5 }, /^options\.numImages is 1\.5; a whole number from 1/],
    [
      'NaN for a scale',
      { guidance: { detail: { scale: NaN } } },
      /detail\.scale is NaN; a finite number from 0 to 100/,
    ],
    ['an infinite scale', { guidance: { classifierFree: { scale: Infinity } } }, /scale is Infinity; a finite number/],
    ['a negative scale', { guidance: { classifierFree: { scale: -1 } } }, /scale is -1; a finite number from 0 to 100/],
    ['a window beyond 1', { guidance: { detail: { stop: 1.1 } } }, /stop is 1\.1; a finite number from 0 to 1/],
    ['a negative seed', { seed: -1 }, /^options\.seed is -1; a whole number from 0/],
    ['a seed that is no number', { seed: 12n }, /^options\.seed is 12n/],
    ['a negative layer', { guidance: { detail: { layer: -1 } } }, /layer is -1/],
    ['channels by another name', { guidance: { detail: { channels: 'all' } } }, /channels is 'all'; 'auto' or a list/],
    ['no channels', { guidance: { detail: { channels: [] } } }, /channels is \[\]/],
    ['latents that are no tensor', { latents: [1, 2] }, /^options\.latents is \[1, 2\]; a tensor/],
    ['a callback that is none', { onStep: 'log' }, /^options\.onStep is 'log'; a function/],
    ['a signal that is none', { signal: {} }, /^options\.signal is .*; an AbortSignal/],
    ['null', null, /^options is null/],
    ['a list', [], /^options is \[\]/],
  ])('%s', (_name, options, message) => {
    expect(generate(options)).toMatchObject({ code: 'BAD_OPTION', message: expect.stringMatching(message) });
  });
});

describe('bad options of loadPipeline', () => {
  test.each<[string, unknown, RegExp]>([
    ['another device', { device: 'gpu' }, /^options\.device is 'gpu'; 'auto', 'cpu', 'cuda' or 'cuda:N'/],
    ['another dtype', { dtype: 'float64' }, /^options\.dtype is 'float64'; one of 'auto', 'float32'/],
    ['an unknown option', { devise: 'cpu' }, /^options\.devise is not known: 'device'.* is near/],
  ])('%s', (_name, options, message) => {
    expect(load(options)).toMatchObject({ code: 'BAD_OPTION', message: expect.stringMatching(message) });
  });
});

test('defaults are filled in', () => {
  expect(parse(generateSchema, {}, 'options')).toEqual({ batchSize: 1, partialForward: true, preview: false });
  expect(parse(loadSchema, {}, 'options')).toEqual({
    device: 'auto',
    devices: {},
    dtype: 'float32',
    lowMemory: false,
    checkMemory: true,
    allowAllOperators: false,
    fuse: true,
  });
});
