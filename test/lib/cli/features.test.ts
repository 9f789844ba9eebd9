import { expect, test } from '@jest/globals';

import { run } from './run';

test('features compares four kinds of features on pictures of known classes', async () => {
  const few = ['--images-per-class', '2', '--ensemble', '1', '--time', '0.1', '--json', '--device', 'cpu'];
  const { code, stdout } = await run(['features', 'embedded', ...few]);
  expect(code).toBe(0);
  const found = JSON.parse(stdout) as {
    layer: number;
    chance: number;
    images: number;
    rows: { features: string; classes: number; parts: number; stayed: number }[];
  };
  expect(found).toMatchObject({ layer: 5, images: 20 });
  expect(found.chance).toBeCloseTo(1 / 19, 9);
  expect(found.rows.map(({ features }) => features)).toEqual([
    'raw',
    'modulated, nothing discarded',
    'modulated (DiTF)',
    'modulated and maps (MREP)',
  ]);
  for (const { classes, parts, stayed } of found.rows) {
    // Far above chance: 1 of 19 pictures, 1 of 49 tokens.
    expect(classes).toBeGreaterThan(3 * found.chance);
    expect(parts).toBeGreaterThan(0.2);
    expect(parts + stayed).toBeLessThanOrEqual(1);
  }
}, 240_000);

test.each([
  ['a layer without a next one, whose modulation would be applied', ['--layer', '7'], 'LAYER_OUT_OF_RANGE'],
  ['a time that is none', ['--time', '2'], 'BAD_OPTION'],
  ['more pictures than a call makes', ['--images-per-class', '9007199254740991'], 'BAD_OPTION: The pictures of each'],
])('%s is refused before pictures are made', async (_, args, code) => {
  const { code: exit, stderr } = await run(['features', 'embedded', ...args, '--device', 'cpu']);
  expect([exit, stderr]).toEqual([1, expect.stringContaining(code)]);
  expect(stderr).not.toContain('making pictures');
});
