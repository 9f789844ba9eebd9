/** The benchmark's arithmetic and results, and one run of it on a tiny model; no time is expected of anything. */
import { describe, expect, test } from '@jest/globals';

import { relativeDifference, runBenchmark } from '../../bench/benchmark';
import { comparisons, reuseShare, selectNames, workName } from '../../bench/comparisons';
import { parseOptions } from '../../bench/options';
import { resultOf, toJson, toReport, toTable } from '../../bench/report';
import { blocksBefore, median, partialForwardFloor, quantile, ratioOf, slopeOf } from '../../bench/statistics';
import { takeTurns } from '../../bench/turns';
import { testPython } from '../../scripts/test-packages.cjs';
import { hasOwnFloat32, withoutInt8 } from '../processor';

const here: Parameters<typeof comparisons>[0] = {
  blocks: 12,
  size: 'full',
  precision: 'float32',
  withoutBfloat16: null,
  withoutQuantised: {},
  device: 'cpu',
  fused: ['modulation', 'rotary'],
  resizable: true,
};

describe('arithmetic', () => {
  test('medians and quantiles', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([5])).toBe(5);
    expect(median([])).toBeNaN();
    expect(quantile([0, 1, 2, 3, 4], 0.25)).toBe(1);
    expect(quantile([0, 10], 0.75)).toBe(7.5);
  });

  test('a ratio is that of the medians; its spread that of the pairs', () => {
    expect(ratioOf([2, 4, 9], [1, 2, 3])).toEqual({ ratio: 2, quartiles: [2, 2.5], samples: 3 });
  });

  test('a slope, and what it is worth', () => {
    expect(slopeOf([1, 3, 5, 7])).toEqual({ slope: 2, standardError: 0 });
    // y = [0, 1, 0, 1]: the residuals add up to 0.8, the spread of x to 5.
    const { slope, standardError } = slopeOf([0, 1, 0, 1]);
    expect(slope).toBeCloseTo(0.2);
    expect(standardError).toBeCloseTo(Math.sqrt(0.8 / 2 / 5));
  });

  test('the floor of partial forward', () => {
    expect([0.25, 0.5, 0.75].map((depth) => partialForwardFloor(blocksBefore(depth, 12), 12))).toEqual([
      1.375, 1.25, 1.125,
    ]);
    expect(partialForwardFloor(12, 12)).toBe(1);
    expect(blocksBefore(0.01, 12)).toBe(1);
  });

  test('the share of steps that a reused branch is computed in', () => {
    expect(reuseShare({ reuse: 1, steps: 30 })).toBe(1);
    expect(reuseShare({ reuse: 3, steps: 30 })).toBe(11 / 30);
    expect(reuseShare({ reuse: 3, steps: 31 })).toBe(11 / 31);
  });

  test('a relative difference', () => {
    expect(relativeDifference(Float32Array.of(3, 4), Float32Array.of(3, 4))).toBe(0);
    expect(relativeDifference(Float32Array.of(3, 9), Float32Array.of(3, 4))).toBe(1);
    expect(relativeDifference(Float32Array.of(1), Float32Array.of(1, 2))).toBeNaN();
  });
});

test('takes turns, every other round backwards', async () => {
  const order: string[] = [];
  const contestant = (name: string) => ({
    name,
    run: async () => ({ seconds: order.push(name), processorSeconds: 0 }),
  });
  const timings = await takeTurns(['a', 'b', 'c'].map(contestant), { rounds: 3, pause: 0 });
  expect(order.join('')).toBe('abccbaabc');
  expect(timings.get('a')!.map(({ seconds }) => seconds)).toEqual([1, 6, 7]);
});

describe('comparisons', () => {
  test('all names', () => {
    expect(comparisons(here).chosen.map(({ name }) => name)).toEqual([
      'detail-over-cfg@0.25',
      'detail-over-cfg@0.5',
      'detail-over-cfg@0.75',
      'python-eager-over-ours@0.5',
      'torch-compile-over-ours@0.5',
      'torch-compile-cut-over-ours@0.5',
      'torch-compile-over-ours@0.5-bf16',
      'torch-compile-cut-over-ours@0.5-bf16',
      'fp32-over-bf16',
      'bf16-over-int8@0.5',
      'bf16-over-int8-all@0.5',
      'reuse-over-cfg',
      'statistics-overhead',
      'idle-hooks',
      'scale-0.5-over-1',
      'scale-0.75-over-1',
      'unfused-modulation-over-ours',
      'unfused-rotary-over-ours',
    ]);
  });

  test('on a GPU also several pictures at once, CUDA graphs, and torch.compile with its own', () => {
    const names = comparisons({ ...here, device: 'cuda:0' }).chosen.map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining([
        'images-8-over-1',
        'offloaded-over-ours',
        'unrecorded-over-ours',
        'torch-compile-reduce-overhead-over-ours@0.5',
        'torch-compile-cut-reduce-overhead-over-ours@0.5',
      ]),
    );
  });

  test('the goal against eager is that of the size', () => {
    const goalOf = (size: string) =>
      comparisons({ ...here, device: 'cuda:0', size }).chosen.find(({ name }) => name.startsWith('python-eager'))!.goal;
    expect(['dit-xl-2', 'sd3-medium', 'flux'].map(goalOf)).toEqual([{ atLeast: 2 }, { atLeast: 1.3 }, undefined]);
  });

  test('what is bfloat16 already is not compared in it again', () => {
    const names = comparisons({ ...here, device: 'cuda:0', precision: 'bfloat16' }).chosen.map(({ name }) => name);
    expect(names.filter((name) => name.endsWith('-bf16'))).toEqual(['fp32-over-bf16']);
    expect(names).toContain('torch-compile-over-ours@0.5');
  });

  test('quantised layers, by what the device has products for and what gains time there', () => {
    const names = (changes: Partial<typeof here>) =>
      comparisons({ ...here, ...changes })
        .chosen.map(({ name }) => name)
        .filter((name) => name.startsWith('bf16-over-'));
    const all = ['int8', 'int8-all', 'fp8', 'weight-only'].map((way) => `bf16-over-${way}@0.5`);
    expect(names({ device: 'cuda:0' })).toEqual(all);
    expect(names({ size: 'tiny' })).toEqual(all);
    expect(names({})).toEqual(all.slice(0, 2));
    const { leftOut } = comparisons({ ...here, device: 'cuda:0', withoutQuantised: { fp8: 'it is too old' } });
    expect(leftOut).toContainEqual({ name: 'bf16-over-fp8@0.5', reason: 'it is too old' });
  });

  test('of a model with one size no other is asked', () => {
    const { leftOut } = comparisons({ ...here, resizable: false });
    expect(leftOut).toContainEqual({ name: 'scale-0.5-over-1', reason: 'this model has one size' });
  });

  test('blocks wait in host memory where that is another', () => {
    const { leftOut } = comparisons(here);
    expect(leftOut).toContainEqual({ name: 'offloaded-over-ours', reason: 'on a CPU weights are in host memory' });
  });

  test('bfloat16 is left out where it has no instructions, with the reason', () => {
    const { chosen, leftOut } = comparisons({ ...here, withoutBfloat16: 'it has none' });
    expect(chosen.filter(({ name }) => name.includes('bf16'))).toEqual([]);
    expect(leftOut.filter(({ reason }) => reason === 'it has none')).toHaveLength(7);
    expect(leftOut[2]).toEqual({ name: 'fp32-over-bf16', reason: 'it has none' });
  });

  test('what several comparisons need has one name', () => {
    const [first, second] = comparisons(here).chosen;
    expect(workName(first!.denominator)).toBe(workName(second!.denominator));
    expect(workName(first!.numerator)).not.toBe(workName(second!.numerator));
  });

  test.each([
    ['idle-hooks', ['idle-hooks']],
    ['detail-over-cfg@0.5', ['detail-over-cfg@0.5']],
    ['detail-*5', ['detail-over-cfg@0.25', 'detail-over-cfg@0.5', 'detail-over-cfg@0.75']],
    ['eager,idle', ['python-eager-over-ours@0.5', 'idle-hooks']],
    ['nothing', []],
    ['detail,!0.5,!*75', ['detail-over-cfg@0.25']],
  ])('--only %s', (only, names) => {
    expect(selectNames(comparisons(here).chosen, only).map(({ name }) => name)).toEqual(names);
  });
});

describe('report', () => {
  const [comparison] = comparisons(here).chosen;
  const timings = (seconds: number[]) => seconds.map((each) => ({ seconds: each, processorSeconds: 1 }));
  const result = resultOf(
    comparison!,
    new Map([
      [workName(comparison!.numerator), timings([2, 3, 4])],
      [workName(comparison!.denominator), timings([2, 2, 2])],
    ]),
  );

  test('JSON', () => {
    expect(JSON.parse(toJson([result]))).toEqual([
      { name: 'detail-over-cfg@0.25', ratio: 1.5, floor: 1.375, samples: 3 },
    ]);
  });

  test('what a step takes, where there are steps', () => {
    const eager = comparisons(here).chosen.find(({ name }) => name.startsWith('python-eager'))!;
    const reuse = comparisons(here).chosen.find(({ name }) => name === 'reuse-over-cfg')!;
    const idle = comparisons(here).chosen.find(({ name }) => name === 'idle-hooks')!;
    const found = [eager, reuse, idle].map((each) => {
      const both = [each.numerator, each.denominator].map((work) => [workName(work), timings([6])] as const);
      return resultOf(each, new Map(both), 4).stepSeconds;
    });
    expect(found).toEqual([[1.5, 1.5], [0.2, 0.2], undefined]);
    const run = JSON.parse(toReport({ size: 'tiny' }, [{ ...result, stepSeconds: [1, 2] }])) as unknown;
    expect(run).toMatchObject({ size: 'tiny', results: [{ name: 'detail-over-cfg@0.25', stepSeconds: [1, 2] }] });
  });

  test('on a GPU the peak memory of both, and no verdict where nothing is wanted', () => {
    const free = { ...comparison!, goal: undefined };
    const withMemory = (seconds: number, peakBytes: number) => [{ seconds, processorSeconds: 1, peakBytes }];
    const found = resultOf(
      free,
      new Map([
        [workName(free.numerator), withMemory(2, 3e9)],
        [workName(free.denominator), withMemory(1, 2e9)],
      ]),
    );
    expect(found).toMatchObject({ met: null, goal: '', peakBytes: [3e9, 2e9] });
    expect(toTable([found])).toMatch(/peak MB.*\n.*\n.* 3000 \/ 2000 +\|$/);
  });

  test('table', () => {
    expect(result.met).toBe(false);
    const lines = toTable([result]).split('\n');
    expect(new Set(lines.map(({ length }) => length)).size).toBe(1);
    expect(lines[2]).toMatch(
      /detail-over-cfg@0\.25 \| 1\.500 \| 1\.250 … 1\.750 \| 1\.000 {4}\| 1\.375 \| <= 1\.444 \| no/,
    );
  });
});

test.each([
  [['--rounds', '0'], /--rounds: expected a whole number from 1 to 9999, received 0/],
  [['--dtype', 'int8'], /--dtype: expected float32, bfloat16, float16, received int8/],
  [['--device', 'tpu'], /--device: expected .* received tpu/],
  [['--size', 'huge'], /--size: expected .* received huge/],
])('options %j are refused', (args, message) => {
  expect(() => parseOptions(args)).toThrow(message);
});

const suite = testPython().path ? test : test.skip;

suite.each([
  [
    'tiny',
    'detail,eager,reuse,idle,unfused,peak',
    [1, 1, 1, 1, 1, 8, 1, 1, 1, 1, 1, ...(hasOwnFloat32() ? [1] : []), ...(withoutInt8 ? [] : [1])],
  ],
  ['tiny-joint', 'detail-over-cfg@0.5,eager,idle,scale-0.5,unfused-rotary', [1, 1, 8, 1, 1]],
])(
  'one round on the model %s',
  async (size, only, counts) => {
    const lines: string[] = [];
    const options = parseOptions(['--size', size, '--rounds', '1', '--steps', '2', '--only', only]);
    if (options === 'help') throw new Error('not asked for help');
    const { results, peer, threads } = await runBenchmark(options, (line) => lines.push(line));
    expect(JSON.parse(toJson(results))).toEqual(
      results.map(({ name, floor, samples }) => ({
        name,
        ratio: expect.any(Number),
        ...(floor === undefined ? {} : { floor }),
        samples,
      })),
    );
    expect(results.map(({ samples }) => samples)).toEqual(counts);
    expect(peer.threads).toBe(threads);
    expect(lines.join('\n')).toMatch(/its latents differ from ours by/);
  },
  120_000,
);
