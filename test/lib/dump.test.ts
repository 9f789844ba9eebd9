/** Recorded runs as folders: what is in them, also when the run or the disk ends early; ranges for a quantiser. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { loadPipeline, type ActivationRecord, type DumpOptions, type GenerateOptions, type Pipeline } from '../../lib';
import { siteName } from '../../lib/activations';
import { ShardWriter } from '../../lib/activations/shards';
import { decodeSafetensors, type Tensor } from '../../lib/tensor';
import { testPython } from '../../scripts/test-packages.cjs';

interface Index {
  ending: string;
  nonFinite: { values: number };
  shards: { file: string; bytes: number; records: number }[];
  records: {
    site: string;
    branch: string;
    image: number;
    step: number;
    name: string;
    parts: string[];
    shard: number;
  }[];
}

let pipeline: Pipeline;
let folder: string;
beforeAll(async () => {
  pipeline = await loadPipeline('embedded', { device: 'cpu' });
  folder = mkdtempSync(join(tmpdir(), 'dump-'));
});
afterAll(async () => {
  await pipeline?.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const generate = { classLabel: [2, 5], seed: 3, numInferenceSteps: 3, guidance: {} } satisfies GenerateOptions;
const failure = (work: Promise<unknown>) =>
  work.then(
    () => Promise.reject(new Error('Nothing was thrown.')),
    (error: unknown) => error as { code: string; message: string },
  );

/** Reads a dump as somebody else would: the index, then the tensors it lists, all of which are there. */
function readDump(out: string): { index: Index; tensors: Map<string, Tensor> } {
  const index = JSON.parse(readFileSync(join(out, 'index.json'), 'utf8')) as Index;
  const shards = index.shards.map(({ file, bytes }) => {
    expect(statSync(join(out, file)).size).toBe(bytes);
    return decodeSafetensors(readFileSync(join(out, file))).tensors;
  });
  expect(readdirSync(out).sort()).toEqual([...index.shards.map(({ file }) => file), 'index.json'].sort());
  const tensors = new Map<string, Tensor>();
  for (const { name, parts, shard } of index.records) {
    for (const part of parts) tensors.set(`${name}/${part}`, shards[shard]![`${name}/${part}`]!);
  }
  expect([...tensors.values()].every(Boolean)).toBe(true);
  expect(tensors.size).toBe(shards.reduce((sum, shard) => sum + Object.keys(shard).length, 0));
  return { index, tensors };
}

describe('a dump', () => {
  test('1. holds what the iterator gives, in files of a bounded size', async () => {
    const out = join(folder, 'whole');
    const asked = {
      generate,
      statistics: { percentiles: [50, 99.9], tokens: true, top: 3 },
      tensors: true,
      sites: [{ path: 'blocks.*' }, { path: 'blocks.0.attention', tap: 'attention' as const }],
    };
    const seen: ActivationRecord[] = [];
    const shardBytes = 200_000;
    const summary = await pipeline.dumpActivations({
      ...asked,
      out,
      shardBytes,
      onRecord: (record) => void seen.push(record),
    });
    const { index, tensors } = readDump(out);
    expect(summary).toMatchObject({ out, records: 9 * 3 * 2, seeds: [3, 4], latentsFinite: true, ending: 'complete' });
    expect(summary.shards).toEqual(index.shards);
    expect(index).toMatchObject({ ending: 'complete', nonFinite: { values: 0 } });
    expect(index.shards.length).toBeGreaterThan(3);
    for (const { bytes } of index.shards) expect(bytes).toBeLessThan(shardBytes + 60_000);
    const records: ActivationRecord[] = [];
    for await (const record of pipeline.activations(asked)) records.push(record);
    expect(records).toEqual(seen);
    expect(index.records).toHaveLength(records.length);
    records.forEach((record, at) => {
      const { name, site } = index.records[at]!;
      expect(site).toBe(siteName(record.site));
      expect(tensors.get(`${name}/tensor`)).toEqual(record.tensor);
      expect(tensors.get(`${name}/variance`)!.data).toEqual(record.channels!.variance);
      expect(tensors.get(`${name}/percentile-99.9`)!.data).toEqual(record.channels!.percentiles![1]!.values);
      expect(tensors.get(`${name}/token-norm`)!.data).toEqual(record.tokens!.norm);
      expect(Array.from(tensors.get(`${name}/top-channel`)!.data, Number)).toEqual(
        record.top!.map(({ channel }) => channel),
      );
      expect(tensors.has(`${name}/attention-mass`)).toBe(record.site.tap === 'attention');
    });
  });

  const python = testPython();
  const withPython = python.path ? test : test.skip;
  withPython(`2. is read by Python's safetensors${python.path ? '' : ` (skipped: ${python.reason})`}`, async () => {
    const out = join(folder, 'python');
    await pipeline.dumpActivations({ generate, out, tensors: true, dtype: 'bfloat16', sites: [{ path: 'blocks.4' }] });
    const { index, tensors } = readDump(out);
    const program = `
import json, sys
from safetensors.torch import load_file
index = json.load(open(sys.argv[1] + "/index.json"))
shards = [load_file(sys.argv[1] + "/" + each["file"]) for each in index["shards"]]
for record in index["records"]:
    z = shards[record["shard"]][record["name"] + "/tensor"]
    largest = shards[record["shard"]][record["name"] + "/max"]
    assert list(z.shape) == record["shape"] and str(z.dtype) == "torch.bfloat16", (z.shape, z.dtype)
    assert ((z.float().abs().amax(0) - largest).abs() <= largest * 2 ** -8).all()
    print(record["name"], float(largest.sum()))
`;
    const { status, stdout, stderr } = spawnSync(python.path!, ['-c', program, out], { encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
    const lines = stdout.trim().split('\n');
    expect(lines).toHaveLength(index.records.length);
    const sum = (tensors.get(`${index.records[0]!.name}/max`)!.data as Float32Array).reduce((a, b) => a + b, 0);
    expect(Number(lines[0]!.split(' ').at(-1)) / sum).toBeCloseTo(1, 5);
  });

  test('3. that is aborted is a valid, shorter one', async () => {
    const out = join(folder, 'aborted');
    const controller = new AbortController();
    const run = pipeline.dumpActivations({
      generate: { ...generate, numInferenceSteps: 500 },
      out,
      shardBytes: 50_000,
      signal: controller.signal,
      onRecord: ({ step }) => void (step === 2 && controller.abort()),
    });
    expect(await failure(run)).toMatchObject({ code: 'ABORT_ERR' });
    const { index } = readDump(out);
    expect(index.ending).toBe('aborted');
    expect(index.records.length).toBeGreaterThanOrEqual(17);
    expect(index.records.length).toBeLessThan(8 * 2 * 100);
    expect((await pipeline.generate({ ...generate, numInferenceSteps: 1 })).images).toHaveLength(2);
  });

  test('4. goes into a folder that is not there yet', async () => {
    const out = join(folder, 'there');
    mkdirSync(out);
    const steps: number[] = [];
    const options: DumpOptions = { generate: { ...generate, onStep: ({ step }) => void steps.push(step) }, out };
    expect(await failure(pipeline.dumpActivations(options))).toMatchObject({ code: 'OUTPUT_EXISTS' });
    expect(steps).toEqual([]);
    expect(readdirSync(out)).toEqual([]);
    const missing = join(folder, 'not', 'there');
    expect(await failure(pipeline.dumpActivations({ generate, out: missing }))).toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
    });
    const unknown = join(folder, 'unknown');
    expect(
      await failure(pipeline.dumpActivations({ generate, out: unknown, sites: [{ path: 'block.1' }] })),
    ).toMatchObject({ code: 'SITE_NOT_FOUND' });
    expect(existsSync(unknown)).toBe(false);
  });

  test('5. keeps the files before the one that could not be written', async () => {
    const out = join(folder, 'unwritable');
    let made = false;
    const run = pipeline.dumpActivations({
      generate,
      out,
      shardBytes: 40_000,
      onRecord: () => {
        if (!made) mkdirSync(join(out, 'activations-00003.safetensors'));
        made = true;
      },
    });
    const { code, message } = await failure(run);
    expect(code).toBe('OUTPUT_UNWRITABLE');
    rmSync(join(out, 'activations-00003.safetensors'), { recursive: true });
    const { index } = readDump(out);
    expect(index).toMatchObject({ ending: 'failed' });
    expect(index.shards).toHaveLength(2);
    expect(message).toContain(`valid dump of the first ${index.records.length} records in 2 files`);
  });

  const small = mountSmall();
  (small.path ? test : test.skip)(`6. on a disk that fills up (${small.reason ?? 'tmpfs'})`, async () => {
    const out = join(small.path!, 'dump');
    try {
      const run = pipeline.dumpActivations({ generate, out, tensors: true, shardBytes: 150_000 });
      const { code, message } = await failure(run);
      expect(code).toBe('OUTPUT_UNWRITABLE');
      expect(message).toContain('the disk is full');
      const { index } = readDump(out);
      expect(index.records.length).toBeGreaterThan(0);
      expect(index.records.length).toBeLessThan(8 * 3 * 2);
      expect(message).toContain(`first ${index.records.length} records`);
    } finally {
      spawnSync('umount', [small.path!]);
      rmSync(small.path!, { recursive: true, force: true });
    }
  });

  test('7. counts what is not finite, and goes on', async () => {
    const out = join(folder, 'infinite');
    const blown = {
      name: 'blown up',
      weight: 1,
      edits: [{ layer: 2, channels: [5], operation: 'affine' as const, scale: 3e38 }],
    };
    const options = { generate: { ...generate, guidance: { branches: [blown] } }, branches: ['blown up'] };
    const summary = await pipeline.dumpActivations({ ...options, out });
    expect(summary).toMatchObject({ records: 8 * 3 * 2, latentsFinite: false });
    expect(summary.nonFinite.first).toEqual({ site: 'blocks.2.output.image', branch: 'blown up', image: 0, step: 0 });
    const { index, tensors } = readDump(out);
    expect(index.nonFinite.values).toBe(summary.nonFinite.values);
    expect(summary.nonFinite.values).toBeGreaterThan(49);
    const first = index.records.find(({ step, site }) => step === 0 && site === 'blocks.2.output.image')!;
    const max = tensors.get(`${first.name}/max`)!.data as Float32Array;
    expect(max[5]).toBe(Infinity);
    expect(Number.isFinite(max[6])).toBe(true);
    const after = index.records.find(({ step, site }) => step === 0 && site === 'blocks.3.output.image')!;
    expect(Array.from(tensors.get(`${after.name}/median`)!.data, Number).some(Number.isNaN)).toBe(true);
    expect((await failure(pipeline.generate(options.generate))).code).toBe('MODEL_FAILED');
  });

  test('8. ends with what onRecord and onStep throw', async () => {
    const thrown = new Error('no more');
    const fail = () => {
      throw thrown;
    };
    expect(await failure(pipeline.dumpActivations({ generate, out: join(folder, 'a'), onRecord: fail }))).toBe(thrown);
    expect(readDump(join(folder, 'a')).index.ending).toBe('failed');
    const stepping = { generate: { ...generate, numInferenceSteps: 300, onStep: fail }, out: join(folder, 'b') };
    expect(await failure(pipeline.dumpActivations(stepping))).toBe(thrown);
  });
});

describe('the files of a dump', () => {
  const one: Tensor = { data: Float32Array.of(1), shape: [1], dtype: 'float32' };
  const index = (_shards: unknown, entries: readonly unknown[], ending: string) =>
    JSON.stringify({ ending, records: entries.length });

  test('more records in one than a call takes arguments', async () => {
    const out = join(folder, 'many');
    const writer = await ShardWriter.create<{ name: string }>({ folder: out, shardBytes: 1e9, index });
    await writer.add({ name: 'first' }, { first: one });
    for (let record = 1; record < 200_000; record++) await writer.add({ name: 'another' }, {});
    await writer.close('complete');
    expect(JSON.parse(readFileSync(join(out, 'index.json'), 'utf8'))).toEqual({ ending: 'complete', records: 200_000 });
  });

  test('an index that cannot be written leaves the one before it, and at the start no folder', async () => {
    const out = join(folder, 'fails');
    let isFull = false;
    const failing = (...parts: Parameters<typeof index>) => {
      if (isFull) throw new Error('full');
      return index(...parts);
    };
    const writer = await ShardWriter.create<{ name: string }>({ folder: out, shardBytes: 4, index: failing });
    await writer.add({ name: 'first' }, { first: one });
    isFull = true;
    await expect(writer.add({ name: 'second' }, { second: one })).rejects.toThrow('full');
    expect([writer.kept, writer.shards.length]).toEqual([1, 1]);
    expect(readdirSync(out).sort()).toEqual(['activations-00001.safetensors', 'index.json']);
    const other = join(folder, 'blocked');
    await expect(ShardWriter.create({ folder: other, shardBytes: 4, index: failing })).rejects.toThrow('full');
    expect(existsSync(other)).toBe(false);
  });
});

describe('ranges for a quantiser', () => {
  test('9. are those of the records', async () => {
    const percentiles = [50, 99];
    const found = await pipeline.quantisationStatistics({ generate, percentiles, sites: [{ path: 'blocks.*' }] });
    expect(JSON.parse(JSON.stringify(found))).toEqual(found);
    expect(found).toMatchObject({ format: 1, kind: 'quantisation-statistics', percentiles, nonFinite: 0 });
    expect(found.sites.map(({ layer }) => layer)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    const own: ActivationRecord[] = [];
    const options = { generate, sites: [{ path: 'blocks.6' }], statistics: { percentiles } };
    for await (const record of pipeline.activations(options)) own.push(record);
    const site = found.sites[6]!;
    expect(site).toMatchObject({ name: 'blocks.6.output.image', channels: 128 });
    const largest = (records: ActivationRecord[]) => Math.max(...records.map(({ channels }) => channels!.max[49]!));
    site.steps.forEach(({ step, samples, absmax, runningAbsmax, percentiles: ranked }) => {
      const these = own.filter((record) => record.step === step);
      expect(samples).toBe(2);
      expect(absmax[49]! / largest(these)).toBeCloseTo(1, 6);
      expect(runningAbsmax[49]! / largest(own.filter((record) => record.step <= step))).toBeCloseTo(1, 6);
      const [a, b] = these.map(({ channels }) => channels!.percentiles![1]!.values[49]!);
      expect(ranked[1]![49]! / ((a! + b!) / 2)).toBeCloseTo(1, 5);
    });
    expect(site.absmax).toEqual(site.steps.at(-1)!.runningAbsmax);
  });
});

/** A file system of a few hundred kilobytes, where this user may mount one. */
function mountSmall(): { path: string | null; reason?: string } {
  const path = mkdtempSync(join(tmpdir(), 'small-'));
  const { status, stderr, error } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=600k', 'tmpfs', path], {
    encoding: 'utf8',
  });
  if (status === 0) return { path };
  rmSync(path, { recursive: true });
  return { path: null, reason: `skipped: no file system can be mounted here: ${error?.message ?? stderr.trim()}` };
}
