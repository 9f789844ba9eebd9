/** Recorded runs of the embedded model: what is handed out, when, and how a run ends that nobody reads to its end. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os, { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';

import {
  DetailGuidanceError,
  loadPipeline,
  type ActivationOptions,
  type ActivationRecord,
  type PhaseEvent,
  type Pipeline,
} from '../../lib';
import { toFloat32 } from '../../lib/tensor';

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await loadPipeline('embedded', { device: 'cpu' });
});
afterAll(async () => pipeline?.dispose());

const generate = {
  classLabel: [1, 7],
  seed: 5,
  numInferenceSteps: 3,
  guidance: { classifierFree: { scale: 2 }, detail: { scale: 0.5, layer: 3, channels: [12, 49] } },
};
const deficient = () => pipeline.plan(generate).branches[2]!.name;

async function collect(options: ActivationOptions): Promise<ActivationRecord[]> {
  const records: ActivationRecord[] = [];
  for await (const record of pipeline.activations(options)) records.push(record);
  return records;
}

const keyOf = ({ site, branch, image, step }: ActivationRecord) =>
  `${site.path} ${site.tap} ${branch} ${image} ${step}`;

/** The statistics of one channel, from their definitions, in float64. */
function expected(values: Float32Array, channels: number, channel: number, percentiles: number[]) {
  const column = Array.from({ length: values.length / channels }, (_, token) => values[token * channels + channel]!);
  const sorted = column.map(Math.abs).sort((a, b) => a - b);
  const mean = column.reduce((sum, z) => sum + z, 0) / column.length;
  const ranked = (percentile: number) => {
    const place = (percentile / 100) * (sorted.length - 1);
    const [low, high] = [sorted[Math.floor(place)]!, sorted[Math.ceil(place)]!];
    return low + (place - Math.floor(place)) * (high - low);
  };
  return {
    max: sorted.at(-1)!,
    mean: sorted.reduce((sum, z) => sum + z, 0) / sorted.length,
    median: ranked(50),
    variance: column.reduce((sum, z) => sum + (z - mean) ** 2, 0) / column.length,
    percentiles: percentiles.map(ranked),
  };
}

describe('what is recorded', () => {
  test('1. by default the statistics of every block at every step, for the conditional branch', async () => {
    const records = await collect({ generate });
    expect(records).toHaveLength(8 * 3 * 2);
    expect(new Set(records.map(keyOf)).size).toBe(records.length);
    const { timestep } = pipeline.plan(generate).steps[2]!;
    const last = records.at(-1)!;
    expect(last).toMatchObject({ branch: 'conditional', image: 1, step: 2, timestep, shape: [49, 128], nonFinite: 0 });
    expect(last.site).toMatchObject({ path: 'blocks.7', tap: 'output', stream: 'image', block: 7 });
    expect(Object.keys(last.channels!)).toEqual(['max', 'mean', 'median', 'variance']);
    expect(last.tensor).toBeUndefined();
  });

  test('2. statistics are those of the hidden state that comes with them', async () => {
    const percentiles = [0, 10, 99.9, 100];
    const records = await collect({
      generate,
      branches: 'all',
      statistics: { percentiles, tokens: true, top: 5 },
      tensors: true,
    });
    expect(records).toHaveLength(8 * 3 * 3 * 2);
    for (const { channels, tokens, top, tensor } of records) {
      const z = tensor!.data as Float32Array;
      expect(tensor!.shape).toEqual([49, 128]);
      for (const channel of [0, 12, 127]) {
        const want = expected(z, 128, channel, percentiles);
        expect(channels!.max[channel]).toBe(want.max);
        for (const name of ['mean', 'median', 'variance'] as const) {
          expect(Math.abs(channels![name][channel]! - want[name])).toBeLessThanOrEqual(1e-5 * want[name]);
        }
        expect(channels!.percentiles!.map(({ percentile }) => percentile)).toEqual(percentiles);
        channels!.percentiles!.forEach(({ values }, at) =>
          expect(Math.abs(values[channel]! - want.percentiles[at]!)).toBeLessThanOrEqual(1e-5 * want.max),
        );
      }
      expect(tokens!.norm).toHaveLength(49);
      expect(tokens!.norm[7]! / Math.hypot(...z.subarray(7 * 128, 8 * 128))).toBeCloseTo(1, 5);
      const strongest = Array.from(z, (value, index) => ({ value, index })).sort(
        (a, b) => Math.abs(b.value) - Math.abs(a.value),
      );
      expect(top!.map(({ value }) => value)).toEqual(strongest.slice(0, 5).map(({ value }) => value));
      for (const { token, channel, value } of top!) expect(z[token * 128 + channel]).toBe(value);
    }
  });

  test('3. an edited branch as it leaves the site, or as it arrives there', async () => {
    const options: ActivationOptions = {
      generate,
      branches: ['conditional', deficient()],
      sites: [{ path: 'blocks.3' }],
      tensors: true,
    };
    const halves = (records: ActivationRecord[]) =>
      [0, 1].map((half) => records.filter(({ branch }) => (branch === 'conditional') === (half === 0)));
    const [conditional, edited] = halves(await collect(options));
    const [, arriving] = halves(await collect({ ...options, beforeEdits: true }));
    conditional!.forEach(({ tensor, channels }, at) => {
      const [z, left] = [tensor!.data as Float32Array, edited![at]!.tensor!.data as Float32Array];
      expect(arriving![at]!.tensor!.data).toEqual(z);
      const wiped = z.map((value, index) => ([12, 49].includes(index % 128) ? 0 : value));
      expect(left).toEqual(wiped);
      expect(channels!.max[12]).toBeGreaterThan(0);
      expect(edited![at]!.channels!.max[12]).toBe(0);
    });
  });

  test('4. the same with and without partial forward, and in batches', async () => {
    const options = { branches: 'all', sites: [{ path: 'blocks.*' }], tensors: true } satisfies ActivationOptions;
    const shared = await collect({ ...options, generate });
    const others = [
      await collect({ ...options, generate: { ...generate, partialForward: false } }),
      await collect({ ...options, generate: { ...generate, batchSize: 2 } }),
    ];
    for (const other of others) {
      const byKey = new Map(other.map((record) => [keyOf(record), record]));
      expect(byKey.size).toBe(shared.length);
      for (const record of shared) {
        const [a, b] = [record.tensor!.data as Float32Array, byKey.get(keyOf(record))!.tensor!.data as Float32Array];
        const scale = Math.max(...a.map(Math.abs));
        expect(Math.max(...a.map((value, at) => Math.abs(value - b[at]!)))).toBeLessThan(1e-5 * scale);
      }
    }
  });

  test('5. sites inside blocks: modulations in the shared prefix, attention mass, queries', async () => {
    const records = await collect({
      generate,
      branches: ['conditional', deficient()],
      steps: [1],
      sites: [
        { path: 'blocks.6.modulation' },
        { path: 'blocks.6.attention', tap: 'attention' },
        { path: 'blocks.6.attention', tap: 'query' },
      ],
      statistics: { tokens: true },
    });
    expect(records).toHaveLength(3 * 2 * 2);
    const of = (tap: string, branch: string) =>
      records.filter((record) => record.site.tap === tap && record.branch === branch);
    // What does not depend on the disruption is the same; what comes after it is not.
    of('output', 'conditional').forEach(({ channels, shape }, at) => {
      expect(shape).toEqual([1, 6 * 128]);
      expect(of('output', deficient())[at]!.channels).toEqual(channels);
    });
    of('attention', 'conditional').forEach(({ attention, shape }, at) => {
      expect(shape).toEqual([49, 128]);
      const mass = attention!.mass;
      expect(mass).toHaveLength(49);
      expect(mass.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
      expect(of('attention', deficient())[at]!.attention!.mass).not.toEqual(mass);
    });
    for (const { attention } of of('query', 'conditional')) expect(attention).toBeUndefined();
  });

  test('6. 16-bit tensors are the float32 ones, rounded', async () => {
    const options = {
      generate,
      sites: [{ path: 'blocks.5' }],
      steps: [0, 2],
      tensors: true,
      statistics: false as const,
    };
    const exact = await collect(options);
    expect(exact.map(({ step }) => step)).toEqual([0, 2, 0, 2]);
    expect(exact[0]!.channels).toBeUndefined();
    for (const [dtype, bits] of [
      ['float16', 11],
      ['bfloat16', 8],
    ] as const) {
      const rounded = await collect({ ...options, dtype });
      rounded.forEach(({ tensor }, at) => {
        expect(tensor!.dtype).toBe(dtype);
        const z = exact[at]!.tensor!.data as Float32Array;
        toFloat32(tensor!).forEach((value, index) =>
          expect(Math.abs(value - z[index]!)).toBeLessThanOrEqual(2 ** -bits * Math.abs(z[index]!) + 2 ** -25),
        );
      });
    }
  });

  test('7. recording changes nothing, to the bit, and leaves nothing behind', async () => {
    const before = await pipeline.generate(generate);
    const run = pipeline.activations({ generate, branches: 'all', sites: [{ path: '**' }], tensors: true, steps: [1] });
    let next = await run.next();
    while (!next.done) next = await run.next();
    expect(next.value.latents.data).toEqual(before.latents.data);
    expect(next.value).toMatchObject({ seeds: [5, 6], evaluations: before.evaluations });
    expect((await pipeline.generate(generate)).latents.data).toEqual(before.latents.data);
  });

  test('8. a step that reuses a branch has no record of it', async () => {
    const reusing = {
      ...generate,
      classLabel: 1,
      numInferenceSteps: 6,
      guidance: { ...generate.guidance, detail: { ...generate.guidance.detail, reuse: 3 } },
    };
    const records = await collect({ generate: reusing, branches: [deficient()], sites: [{ path: 'blocks.0' }] });
    expect(records.map(({ step }) => step)).toEqual([0, 3, 5]);
  });
});

describe('how a run ends', () => {
  test('9. it waits while nobody reads, and other pipelines do not', async () => {
    const other = await loadPipeline('embedded', { device: 'cpu' });
    try {
      // 8 MB a step: the run cannot finish while nothing is read.
      const run = pipeline.activations({
        generate: { ...generate, numInferenceSteps: 40 },
        branches: 'all',
        tensors: true,
        sites: [{ path: 'blocks.**' }],
      });
      const first = await run.next();
      expect(first.done).toBe(false);
      const theirs: string[] = [];
      for await (const { site } of other.activations({ generate, sites: [{ path: 'blocks.2' }] }))
        theirs.push(site.path);
      expect(new Set(theirs)).toEqual(new Set(['blocks.2']));
      expect(theirs).toHaveLength(6);
      await sleep(300);
      await run.return(undefined as never);
      expect((await pipeline.generate({ ...generate, numInferenceSteps: 1 })).images).toHaveLength(2);
    } finally {
      await other.dispose();
    }
  });

  test('10. leaving the loop ends the run', async () => {
    let seen = 0;
    for await (const record of pipeline.activations({ generate: { ...generate, numInferenceSteps: 500 } })) {
      expect(record.step).toBe(0);
      if (++seen === 3) break;
    }
    expect((await pipeline.generate({ ...generate, numInferenceSteps: 1 })).images).toHaveLength(2);
  });

  test('11. an aborted run gives what it had and rejects', async () => {
    const controller = new AbortController();
    const steps = new Set<number>();
    const read = async () => {
      const options = { generate: { ...generate, numInferenceSteps: 500 }, signal: controller.signal };
      for await (const { step } of pipeline.activations(options)) {
        steps.add(step);
        if (step === 2) controller.abort(new Error('enough'));
      }
    };
    await expect(read()).rejects.toMatchObject({ code: 'ABORT_ERR', cause: { message: 'enough' } });
    expect(steps.size).toBeLessThan(80);
  });

  test('12. dispose ends a run that nobody reads', async () => {
    const mine = await loadPipeline('embedded', { device: 'cpu' });
    const run = mine.activations({ generate: { ...generate, numInferenceSteps: 500 }, tensors: true });
    await run.next();
    await mine.dispose();
    const drain = async () => {
      for await (const record of run) void record;
    };
    await expect(drain()).rejects.toMatchObject({ code: 'DISPOSED' });
  });

  // 8 MB a step: the run cannot finish while nothing is read, unless room is made for it.
  const long = {
    generate: { ...generate, numInferenceSteps: 24 },
    branches: 'all',
    tensors: true,
    statistics: { tokens: true, top: 2 },
    sites: [{ path: 'blocks.**' }],
  } satisfies ActivationOptions;
  const short = { ...generate, numInferenceSteps: 1 };
  // Of a record, what differs when any of its bytes does.
  const digest = ({ tensor, tokens, top, channels, ...rest }: ActivationRecord) => {
    const hash = createHash('sha256');
    for (const array of [tensor!.data, tokens!.norm, channels!.variance])
      hash.update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    return { ...rest, top, tensor: tensor!.shape, hash: hash.digest('hex') };
  };

  test('13. other calls of the pipeline may be awaited while it is read, and no record is lost', async () => {
    const before = await pipeline.generate(short);
    const expectedRecords: object[] = [];
    for await (const record of pipeline.activations(long)) expectedRecords.push(digest(record));
    const temporary = mkdtempSync(join(tmpdir(), 'detail-guidance-test-'));
    const patched = jest.spyOn(os, 'tmpdir').mockReturnValue(temporary);
    try {
      const found: object[] = [];
      const run = pipeline.activations(long);
      let next = await run.next();
      for (; !next.done; next = await run.next()) {
        if (found.length === 0 || found.length === 700) {
          expect((await pipeline.generate(short)).latents.data).toEqual(before.latents.data);
          const inner = await collect({ generate: short, sites: [{ path: 'blocks.2' }] });
          expect(inner).toHaveLength(2);
        }
        found.push(digest(next.value));
      }
      expect(found).toEqual(expectedRecords);
      expect(next.value.latents.data).toEqual((await pipeline.generate(long.generate)).latents.data);
      expect(patched).toHaveBeenCalled();
      expect(readdirSync(temporary)).toEqual([]);
    } finally {
      patched.mockRestore();
      rmSync(temporary, { recursive: true });
    }
  });

  test('14. an iterator that is dropped after some records holds up nobody', async () => {
    const run = pipeline.activations(long);
    await run.next();
    expect((await pipeline.generate(short)).images).toHaveLength(2);
    await run.return(undefined as never);
  });

  test('15. a disk that does not take the records ends the run with an error, and not the other call', async () => {
    const run = pipeline.activations(long);
    await run.next();
    const missing = join(tmpdir(), 'is-not-there');
    const patched = jest.spyOn(os, 'tmpdir').mockReturnValue(missing);
    try {
      expect((await pipeline.generate(short)).images).toHaveLength(2);
      const drain = async () => {
        for await (const record of run) void record;
      };
      await expect(drain()).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
      expect(patched).toHaveBeenCalled();
    } finally {
      patched.mockRestore();
    }
    expect((await pipeline.generate(short)).images).toHaveLength(2);
  });

  test('16. an iterator that is never read runs nothing', async () => {
    pipeline.activations({ generate });
    expect((await pipeline.generate({ ...generate, numInferenceSteps: 1 })).images).toHaveLength(2);
  });
});

describe('what is refused, before anything runs', () => {
  const refused = (options: ActivationOptions) => {
    try {
      pipeline.activations(options);
    } catch (error) {
      expect(error).toBeInstanceOf(DetailGuidanceError);
      return error as { code: string; message: string };
    }
    throw new Error('Nothing was thrown.');
  };

  test.each<[string, ActivationOptions, string, RegExp]>([
    [
      'an unknown site',
      { generate, sites: [{ path: 'block.3' }] },
      'SITE_NOT_FOUND',
      /^options\.sites\[0\]\.path: .*blocks\.3/,
    ],
    [
      "a path that is another model's",
      { generate, sites: [{ path: 'model.blocks.*' }] },
      'SITE_NOT_FOUND',
      /^options\.sites\[0\]\.path: expected a path with the tap 'output' \(the blocks are 'blocks\.\*'; .*, received 'model/,
    ],
    ['an unknown stream', { generate, sites: [{ path: 'blocks.3', stream: 'text' }] }, 'SITE_NOT_FOUND', /'image'/],
    [
      'an unknown branch',
      { generate, branches: ['conditonal'] },
      'BAD_OPTION',
      /expected 'conditional' or 'unconditional' /,
    ],
    [
      'a step too far',
      { generate, steps: [0, 3] },
      'BAD_OPTION',
      /options\.steps: expected steps from 0 to 2, received 3/,
    ],
    ['nothing to record', { generate, statistics: false }, 'BAD_OPTION', /nothing to record/],
    ['a percentile', { generate, statistics: { percentiles: [101] } }, 'BAD_OPTION', /from 0 to 100/],
    ['options of generate', { generate: { classLabel: 99 } }, 'CLASS_OUT_OF_RANGE', /99/],
  ])('17. %s', (_, options, code, message) => {
    const error = refused(options);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  test('18. a site without a hidden state is refused when it is met', async () => {
    const read = async () => {
      for await (const record of pipeline.activations({ generate, sites: [{ path: '**', tap: 'input' }] })) void record;
    };
    await expect(read()).rejects.toMatchObject({ code: 'BAD_TENSOR' });
  });
});

test('onProgress is told of the sampling of a recorded run', async () => {
  const told: unknown[] = [];
  const onProgress = ({ phase, done, total }: PhaseEvent) => told.push([phase, done, total]);
  await collect({ generate: { ...generate, onProgress } });
  expect(told).toEqual([0, 1, 2, 3, 4, 5, 6].map((done) => ['sampling', done, 6]));
});
