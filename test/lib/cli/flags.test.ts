import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from '@jest/globals';
import { Command } from 'commander';

import type { Bundle } from '../../../lib/bundle';
import { addGuidanceOptions, guidanceFromFlags } from '../../../lib/cli/guidance';
import { encodePng } from '../../../lib/image/png';
import {
  parseChannels,
  parseClass,
  parseLayer,
  parseNumber,
  parseObject,
  parseRetention,
  parseScheduler,
  parseSeed,
  parseTokens,
  parseWhole,
} from '../../../lib/cli/values';
import { demoVariants } from '../../../lib/cli/variants';

const bundle = {
  defaults: { guidance: { classifierFree: { scale: 2 }, detail: { scale: 0.3, layer: 4, channels: 'auto' } } },
  massiveActivations: { stream: 'image', layer: 4, channels: [12, 49, 32] },
} as unknown as Bundle;
const bare = {} as unknown as Bundle;

describe('guidance flags', () => {
  test('without any, the bundle says', () => {
    expect(guidanceFromFlags({ guidance: true }, bundle)).toEqual(bundle.defaults?.guidance);
    expect(guidanceFromFlags({ guidance: true }, bare)).toEqual({});
  });

  test('each changes its own option and leaves the others', () => {
    expect(guidanceFromFlags({ guidance: true, cfgScale: 3, cfgStop: 0.8, retention: 0.5 }, bundle)).toEqual({
      classifierFree: { scale: 3, stop: 0.8 },
      detail: { scale: 0.3, layer: 4, channels: 'auto', retention: 0.5 },
    });
  });

  test('the neutral scales switch a technique off', () => {
    expect(guidanceFromFlags({ guidance: true, cfgScale: 1 }, bundle)).not.toHaveProperty('classifierFree');
    expect(guidanceFromFlags({ guidance: true, detailScale: 0 }, bundle)).not.toHaveProperty('detail');
    expect(guidanceFromFlags({ guidance: false, cfgScale: 3 }, bundle)).toEqual({});
  });
});

test('--detail-scale leaves classifier-free guidance on, and says what switches it off', () => {
  expect(guidanceFromFlags({ guidance: true, detailScale: 0.5 }, bundle)).toHaveProperty('classifierFree.scale', 2);
  expect(guidanceFromFlags({ guidance: true, detailScale: 0.5, cfgScale: 1 }, bundle)).not.toHaveProperty(
    'classifierFree',
  );
  const { options } = addGuidanceOptions(new Command());
  expect(options.find(({ long }) => long === '--detail-scale')!.description).toContain('--cfg-scale 1');
});

describe('guidance as JSON', () => {
  const guidance = { classifierFree: { scale: 1 }, detail: [{ layer: 1 }, { layer: 2, reuse: 2 }], pag: {} };

  test('is taken as it is, in place of the bundle’s', () => {
    expect(guidanceFromFlags({ guidance }, bundle)).toEqual(guidance);
  });

  test('is changed by the flags beside it', () => {
    expect(guidanceFromFlags({ guidance: { pag: {} }, cfgScale: 3 }, bundle)).toEqual({
      classifierFree: { scale: 3 },
      pag: {},
    });
  });
});

test('where the disrupted model itself is sampled, the flags of Detail Guidance say what is disrupted', () => {
  const flags = { preset: 'disrupted', detailLayer: 3, detailTokens: [0, 7], retention: 0.5 } as const;
  expect(guidanceFromFlags({ ...flags, detailTokens: [0, 7] }, bundle)).toEqual({
    disrupt: { layer: 3, tokens: [0, 7], retention: 0.5 },
  });
});

describe('presets', () => {
  test('take the options that the bundle has for their techniques', () => {
    expect(guidanceFromFlags({ guidance: true, preset: 'detail' }, bundle)).toEqual({
      detail: bundle.defaults?.guidance?.['detail'],
    });
    expect(guidanceFromFlags({ guidance: true, preset: 'conditional' }, bundle)).toEqual({});
  });

  test('stand without a bundle that knows them, and flags change them', () => {
    expect(guidanceFromFlags({ guidance: true, preset: 'detail+cfg' }, bare)).toEqual({
      classifierFree: {},
      detail: {},
    });
    expect(guidanceFromFlags({ guidance: true, preset: 'pag+cfg', cfgScale: 5 }, bare)).toEqual({
      classifierFree: { scale: 5 },
      pag: {},
    });
  });
});

describe('values on the command line', () => {
  test.each([
    [parseNumber, '0.30', 0.3],
    [parseNumber, '-1e-3', -0.001],
    [parseWhole, '42', 42],
    [parseSeed, '0', 0],
    [parseSeed, '9007199254740991', 9007199254740991],
    [parseSeed, '9007199254740993', 9007199254740993n],
    [parseSeed, '18446744073709551615', 2n ** 64n - 1n],
    [parseChannels, 'auto', 'auto'],
    [parseChannels, '12, 49,32', [12, 49, 32]],
    [parseLayer, 'auto', 'auto'],
    [parseLayer, '4', 4],
    [parseRetention, '0.5', 0.5],
    [parseRetention, '{"kind":"linear","data":0,"noise":1}', { kind: 'linear', data: 0, noise: 1 }],
    [parseTokens, '0,7,8', [0, 7, 8]],
    [
      parseTokens,
      '[[0,1],[1,0]]',
      [
        [0, 1],
        [1, 0],
      ],
    ],
    [parseScheduler, 'ddim', { kind: 'ddim' }],
    [parseScheduler, '{"shift":2}', { shift: 2 }],
    [parseObject, '{"pag":{}}', { pag: {} }],
    [parseClass, '3', 3],
    [parseClass, 'Ankle boot', 'Ankle boot'],
  ])('%p reads %p', (parse, text, value) => {
    expect(parse(text)).toEqual(value);
  });

  test.each([
    [parseNumber, ''],
    [parseNumber, 'NaN'],
    [parseNumber, 'Infinity'],
    [parseNumber, '0.3x'],
    [parseWhole, '-1'],
    [parseSeed, '-1'],
    [parseSeed, '18446744073709551616'],
    [parseSeed, '1.5'],
    [parseWhole, '1.5'],
    [parseWhole, '99999999999999999999'],
    [parseChannels, '12,,49'],
    [parseChannels, '12,-1'],
    [parseLayer, 'last'],
    [parseRetention, ''],
    [parseRetention, '{"kind":'],
    [parseTokens, '1;2'],
    [parseTokens, 'nowhere.png'],
    [parseScheduler, '{'],
    [parseObject, '[1]'],
    [parseObject, 'nowhere.json'],
  ])('%p refuses %p', (parse, text) => {
    expect(() => parse(text)).toThrow(/^expected /);
  });
});

test('a mask in a PNG is white where it is, JSON may be in a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'flags-'));
  try {
    const mask = join(folder, 'mask.png');
    writeFileSync(mask, encodePng({ width: 2, height: 1, channels: 3, pixels: Uint8Array.of(255, 255, 255, 0, 0, 0) }));
    expect(parseTokens(mask)).toEqual([[1, 0]]);
    const file = join(folder, 'guidance.json');
    writeFileSync(file, '{"detail":{"scale":0.2}}');
    expect(parseObject(file)).toEqual({ detail: { scale: 0.2 } });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe('the columns of the demo', () => {
  const guidance = guidanceFromFlags({ guidance: true }, bundle);

  test('are five, each with the guidance that its header prints', () => {
    const columns = demoVariants(guidance, bundle);
    expect(columns.map(({ title, guidance: given }) => [title, given])).toEqual([
      ['conditional', {}],
      ['MA-disrupted', { disrupt: { layer: 4, channels: 'auto' } }],
      ['Detail Guidance', { detail: guidance.detail }],
      ['CFG', { classifierFree: { scale: 2 } }],
      ['CFG + DG', guidance],
    ]);
    expect(columns[1]!.detail).toContain('layer 4: z[12, 49, 32] × 0');
    expect(columns[2]!.detail).toContain('w = 0.3');
    expect(columns[4]!.detail).toContain('s = 2, w = 0.3');
  });

  test('name the window when there is one', () => {
    const windowed = guidanceFromFlags({ guidance: true, detailStart: 0.2, detailStop: 0.8 }, bundle);
    const columns = demoVariants(windowed, bundle);
    expect(columns[2]!.detail).toContain('w = 0.3, steps 20–80 %');
    // The degraded model is looked at alone and whole: the window belongs to the guidance.
    expect(columns[1]!.guidance).toEqual({ disrupt: { layer: 4, channels: 'auto' } });
  });

  test('need both scales', () => {
    expect(() => demoVariants({}, bundle)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }));
  });
});
