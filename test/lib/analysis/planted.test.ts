/** What is found in models whose peculiarities are known, and in the embedded one. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { loadPipeline, type Pipeline } from '../../../lib';
import {
  disruptTokens,
  extractFeatures,
  findHighNormTokens,
  findMassiveActivations,
  traceGates,
  traceMagnitude,
  writeMassiveActivations,
} from '../../../lib/analysis';
import { openBundle } from '../../../lib/bundle';
import { testPython } from '../../../scripts/test-packages.cjs';

const python = testPython();
const suite = python.path ? describe : describe.skip;
const quick = { conditions: [{ classLabel: 0 }, { classLabel: 3 }], numInferenceSteps: 4, suggest: false };
const folder = mkdtempSync(join(tmpdir(), 'detail-guidance-analysis-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

suite(`models made on the spot${python.path ? '' : ` (skipped: ${python.reason})`}`, () => {
  beforeAll(() => {
    const { status, stderr } = spawnSync(python.path!, [join(__dirname, 'planted.py'), folder], {
      encoding: 'utf8',
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
    });
    expect([status, stderr]).toEqual([0, expect.not.stringContaining('Error')]);
  });

  async function withModel<Result>(name: string, work: (pipeline: Pipeline) => Promise<Result>): Promise<Result> {
    const pipeline = await loadPipeline(join(folder, name), { device: 'cpu' });
    try {
      return await work(pipeline);
    } finally {
      await pipeline.dispose();
    }
  }

  test('planted channels are found, the strongest first, in every layer', async () => {
    const finding = await withModel('massive', (pipeline) => findMassiveActivations(pipeline, quick));
    expect(finding.found).toBe(true);
    expect(finding.stable).toBe(true);
    expect(finding.layers.map(({ channels }) => channels.map(({ channel }) => channel))).toEqual([
      [7, 21],
      [7, 21],
      [7, 21],
    ]);
    const [first] = finding.layers[0]!.channels;
    expect(first!.strength).toBeGreaterThan(10);
    expect([first!.timesteps, first!.seeds, first!.conditions]).toEqual([1, 1, 1]);
    expect(finding.suggested).toMatchObject({ channels: [7, 21] });
  });

  test('the layer is suggested by what disrupting each of them does', async () => {
    const { suggested, effects } = await withModel('massive', (pipeline) =>
      findMassiveActivations(pipeline, { ...quick, suggest: true, layers: [0, 2] }),
    );
    expect(effects.map(({ layer }) => layer)).toEqual([0, 2]);
    for (const { detailChange } of effects) expect(detailChange).toBeGreaterThan(0);
    expect([0, 2]).toContain(suggested!.layer);
  });

  test('where there are none, none are found, and it says how far it is from one', async () => {
    await withModel('plain', async (pipeline) => {
      const finding = await findMassiveActivations(pipeline, quick);
      expect([finding.found, finding.suggested]).toEqual([false, null]);
      expect(finding.remarks[0]).toMatch(
        /^No massive activations: the strongest channel, \d+ after layer \d, has at most [12]\.\d\d times .*, and 3 times at 0 of \d+ timesteps;/,
      );
      await expect(writeMassiveActivations(pipeline.bundle, finding, join(folder, 'nothing'))).rejects.toMatchObject({
        code: 'BAD_OPTION',
      });
    });
    expect(readdirSync(folder)).not.toContain('nothing');
  });

  test('high-norm tokens are no massive channels', async () => {
    await withModel('sinks', async (pipeline) => {
      const finding = await findMassiveActivations(pipeline, quick);
      expect(finding.found).toBe(false);
      expect(finding.layers[0]!.atSingleTokens).toEqual([5]);
      expect(finding.remarks.join('\n')).toMatch(/Channels 5 are strong at few tokens only.*findHighNormTokens/);

      const { tokens } = await findHighNormTokens(pipeline, { conditions: quick.conditions, numInferenceSteps: 4 });
      expect([...new Set(tokens.map(({ token }) => token))].sort((a, b) => a - b)).toEqual([10, 30]);
      const longest = tokens.find(({ token }) => token === 30)!;
      expect(longest).toMatchObject({ layers: [0, 1, 2], steps: [0, 1, 2, 3], persistence: 1 });
      expect(longest.attention).toBeGreaterThan(0);

      const edits = disruptTokens([30, 10], 1);
      expect(edits).toEqual([{ operation: 'mean', layer: 1, tokens: [10, 30] }]);
      const options = { classLabel: 0, seed: 0, numInferenceSteps: 2 };
      const plain = await pipeline.generate({ ...options, guidance: {} });
      const disrupted = await pipeline.generate({ ...options, guidance: { branches: [{ edits, weight: 1 }] } });
      expect(disrupted.latents.data).not.toEqual(plain.latents.data);
    });
  });

  test('and a model without them has none', async () => {
    const { tokens, remarks } = await withModel('plain', (pipeline) =>
      findHighNormTokens(pipeline, { conditions: quick.conditions, numInferenceSteps: 2 }),
    );
    expect(tokens).toEqual([]);
    expect(remarks[0]).toMatch(/^No high-norm tokens: the longest, after layer \d, is 1\.\d\d times/);
  });

  test('NaN are reported, and what they belong to is left out', async () => {
    await withModel('massive', async (pipeline) => {
      const poisoned = new Proxy(pipeline, {
        get(target, key) {
          if (key !== 'activations') {
            const value = Reflect.get(target, key, target) as unknown;
            return typeof value === 'function' ? (value.bind(target) as unknown) : value;
          }
          return async function* (options: Parameters<Pipeline['activations']>[0]) {
            for await (const record of target.activations(options)) {
              yield record.site.block === 1 && record.step === 0 ? { ...record, nonFinite: 2 } : record;
            }
          };
        },
      });
      const finding = await findMassiveActivations(poisoned, { ...quick, maximumWindows: 2 });
      expect(finding.nonFinite).toEqual([{ layer: 1, step: 0, count: 8 }]);
      expect(finding.remarks.join('\n')).toMatch(/8 values after layers 1 were NaN or infinite/);
      expect(finding.layers[1]!.channels.map(({ channel }) => channel)).toEqual([7, 21]);
    });
  });

  test('what was found goes into a copy of the bundle, whole and with right checksums', async () => {
    const out = join(folder, 'copy');
    await withModel('massive', async (pipeline) => {
      const finding = await findMassiveActivations(pipeline, quick);
      const copy = await writeMassiveActivations(pipeline.bundle, finding, out);
      expect(copy.massiveActivations).toMatchObject({ channels: [7, 21], source: 'measured', stream: 'image' });
      expect(copy.ranking!.get(0)!.slice(0, 2)).toEqual([7, 21]);
      await expect(writeMassiveActivations(pipeline.bundle, finding, out)).rejects.toMatchObject({
        code: 'OUTPUT_EXISTS',
        message: expect.stringContaining('exists already') as unknown,
      });
    });
    // The copy says of its channels what is found again, and of one that is not there that it is not.
    const file = join(out, 'bundle.json');
    const manifest = JSON.parse(readFileSync(file, 'utf8')) as { massiveActivations: object };
    const named = { ...manifest.massiveActivations, channels: [7, 3], source: 'literature: a paper' };
    writeFileSync(file, JSON.stringify({ ...manifest, massiveActivations: named }));
    const again = await withModel('copy', (pipeline) => findMassiveActivations(pipeline, { ...quick, suggest: false }));
    expect(again.recorded).toEqual({
      source: 'literature: a paper',
      channels: [
        { channel: 7, layers: [0, 1, 2] },
        { channel: 3, layers: [] },
      ],
    });
    expect(again.remarks).toContain(
      'Recorded in the bundle (literature: a paper): 7 is massive after layers 0, 1, 2; 3 is not massive here.',
    );
    writeFileSync(file, JSON.stringify(manifest));
    const planned = await withModel('copy', (pipeline) =>
      Promise.resolve(pipeline.plan({ classLabel: 0, guidance: { disrupt: {} } })),
    );
    expect(planned.edits[0]!.channels).toEqual([7, 21]);
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});

describe('the embedded model', () => {
  let pipeline: Pipeline;
  beforeAll(async () => {
    pipeline = await loadPipeline('embedded', { device: 'cpu' });
  });
  afterAll(() => pipeline.dispose());

  test('its channels are those that Python found, with the same magnitudes', async () => {
    // As Python measured it: four seeds, all with the same weight.
    const fourSeeds = { maximumWindows: 4, windows: 5, runningMean: 0.9999 };
    const finding = await findMassiveActivations(pipeline, { layers: [5], suggest: false, ...fourSeeds });
    // Python has 32 as well: it does not ask single seeds and conditions, of which fewer than half have it.
    expect(finding.layers[0]!.channels.map(({ channel }) => channel)).toEqual([28, 37, 112, 17, 51, 121]);
    expect(finding.layers[0]!.unstable).toEqual([32]);
    const file = JSON.parse(readFileSync(pipeline.bundle.path('massive-activations.json'), 'utf8')) as {
      blocks: { channelMeans: number[][] }[];
    };
    finding.layers[0]!.channelMeans.forEach((means, step) =>
      means.forEach((value, channel) => {
        // Python's are rounded to four digits.
        const expected = file.blocks[5]!.channelMeans[step]![channel]!;
        expect(Math.abs(value - expected) / expected).toBeLessThan(2e-3);
      }),
    );
  });

  test('the places of default guidance are forgotten, also of a list; guidance that is none is refused', async () => {
    const finding = await findMassiveActivations(pipeline, { layers: [5], ...quick });
    const write = (name: string, guidance: object) => {
      const original = join(folder, `${name}-original`);
      cpSync(pipeline.bundle.folder, original, { recursive: true });
      const file = join(original, 'bundle.json');
      const manifest = JSON.parse(readFileSync(file, 'utf8')) as { defaults: object };
      writeFileSync(file, JSON.stringify({ ...manifest, defaults: { ...manifest.defaults, guidance } }));
      return openBundle(original).then((bundle) => writeMassiveActivations(bundle, finding, join(folder, name)));
    };
    const { defaults } = await write('list', { detail: [{ layer: 2, channels: [1] }, { scale: 0.5 }] });
    expect(defaults!.guidance).toEqual({ detail: [{ layer: 'auto', channels: 'auto' }, { scale: 0.5 }] });
    await expect(write('none', { detail: { scales: 1 } })).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
    expect(readdirSync(folder)).not.toContain('none');
  });

  test('magnitudes are traced for every condition and seed, and their variance is split', async () => {
    const trace = await traceMagnitude(pipeline, {
      layers: [5],
      conditions: [{ classLabel: 0 }, { classLabel: 'Bag' }],
      seeds: 2,
      numInferenceSteps: 3,
    });
    const { magnitude, explained } = trace.layers[0]!;
    expect([trace.channels, trace.conditions]).toEqual([
      [28, 37, 112, 17, 51, 121, 32],
      ['T-shirt/top', 'Bag'],
    ]);
    expect(magnitude.map((row) => row.map((cell) => cell.length))).toEqual([
      [2, 2],
      [2, 2],
      [2, 2],
    ]);
    const { timestep, conditions, both, seeds } = explained;
    expect(timestep + conditions + both + seeds).toBeCloseTo(1, 9);
    expect(timestep).toBeGreaterThan(conditions);
  });

  test('gates of both branches of a block are what its modulation gives', async () => {
    const options = { layers: [5], conditions: [{ classLabel: 2 }], numInferenceSteps: 1 };
    const { gates } = await traceGates(pipeline, options);
    expect(gates.map(({ branch, path }) => [branch, path])).toEqual([
      ['attention', 'blocks.5.modulation'],
      ['mlp', 'blocks.5.modulation'],
    ]);
    const { captures } = await pipeline.forward(
      {
        sample: { data: new Float32Array(784), shape: [1, 1, 28, 28], dtype: 'float32' },
        timestep: { data: Float32Array.of(1), shape: [1], dtype: 'float32' },
        class: { data: BigInt64Array.of(2n), shape: [1], dtype: 'int64' },
      },
      { hooks: [{ path: 'blocks.5.modulation' }] },
    );
    const chunks = captures[0]!.tensor.data as Float32Array;
    gates.forEach(({ gate }, index) =>
      gate.forEach((value, channel) =>
        expect(value).toBeCloseTo(Math.abs(chunks[(2 + 3 * index) * 128 + channel]!), 4),
      ),
    );
  });

  test('a modulation that is not there is said so', async () => {
    await expect(traceGates(pipeline, { modulation: 'norm1.linear' })).rejects.toMatchObject({
      code: 'SITE_NOT_FOUND',
    });
    await expect(findMassiveActivations(pipeline, { stream: 'text' })).rejects.toMatchObject({
      code: 'SITE_NOT_FOUND',
    });
    await expect(findMassiveActivations(pipeline, { layers: [8] })).rejects.toMatchObject({
      code: 'LAYER_OUT_OF_RANGE',
    });
    await expect(findMassiveActivations(pipeline, { conditions: [] })).rejects.toMatchObject({ code: 'BAD_OPTION' });
  });

  test('an abort ends it', async () => {
    const signal = AbortSignal.timeout(50);
    await expect(findMassiveActivations(pipeline, { signal })).rejects.toMatchObject({ code: 'ABORT_ERR' });
  });

  test('features are one vector a token, the modulated part of unit length', async () => {
    const latents = {
      data: new Float32Array(2 * 784).map((_, i) => Math.sin(i)),
      shape: [2, 1, 28, 28],
      dtype: 'float32' as const,
    };
    const raw = await extractFeatures(pipeline, { latents, layer: 4, kind: 'raw', ensemble: 1 });
    expect(raw.features.shape).toEqual([2, 49, 128]);
    const modulated = await extractFeatures(pipeline, { latents, layer: 4, kind: 'modulated', ensemble: 1 });
    const mrep = await extractFeatures(pipeline, { latents, layer: 4, kind: 'mrep', ensemble: 1, mapWeight: 0.5 });
    expect([mrep.features.shape, mrep.channels]).toEqual([
      [2, 49, 135],
      [28, 37, 112, 17, 51, 121, 32],
    ]);
    const data = mrep.features.data as Float32Array;
    expect(data.slice(0, 128)).toEqual(modulated.features.data.slice(0, 128));
    expect(Math.hypot(...data.slice(0, 128))).toBeCloseTo(1, 5);
    // The first map: proportional to channel 28 of the raw hidden state.
    const map = Array.from({ length: 49 }, (_, token) => data[token * 135 + 128]!);
    const z = Array.from({ length: 49 }, (_, token) => (raw.features.data as Float32Array)[token * 128 + 28]!);
    const scale = map[0]! / z[0]!;
    map.forEach((value, token) => expect(value).toBeCloseTo(scale * z[token]!, 4));
    await expect(extractFeatures(pipeline, { latents, layer: 7 })).rejects.toMatchObject({
      code: 'LAYER_OUT_OF_RANGE',
    });
  });
});
