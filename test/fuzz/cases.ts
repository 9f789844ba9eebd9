/** One random case of each kind, from its seed. Errors of the package are thrown as they are. */
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { findMassiveActivations, traceGates, traceMagnitude } from '../../lib/analysis';
import { CommanderError, createProgram } from '../../lib/cli/program';
import * as api from '../../lib/index';
import { loadTorchScript } from '../../lib/model/torchScript';
import { decodePicture } from '../../lib/image/decode';
import { readZip } from '../hostile/zip';

import { mutateBytes } from './bytes';
import type { Kind } from './kinds';
import { mutateArchive } from './programs';
import { Random } from './random';
import { anything, mutateValue, tensor } from './values';

const root = process.env['FUZZ_ROOT']!;
const embedded = join(root, 'models', 'embedded');
/** In the child's own folder; what is in it is kept when the case fails. */
const place = 'case';

/** What a call gives up after: long runs are no faults. */
const patience = 10_000;

export async function runCase(kind: Kind, seed: number): Promise<string> {
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place);
  const random = new Random(seed);
  switch (kind) {
    case 'archive':
      return runArchive(random);
    case 'bundle':
      return runBundle(random);
    case 'safetensors':
      return runSafetensors(random);
    case 'picture':
      return runPicture(random);
    case 'call':
      return runCall(random);
    case 'command':
      return runCommand(random);
  }
}

async function runArchive(random: Random): Promise<string> {
  const file = join(place, 'model.pt');
  writeFileSync(file, mutateArchive(random));
  await using network = await loadTorchScript(file, { device: 'cpu', signal: AbortSignal.timeout(patience) });
  await network.run(
    [{ data: new Float32Array([1, 2, 3, 4]), shape: [4], dtype: 'float32' }],
    AbortSignal.timeout(patience),
  );
  return 'ok';
}

const files = ['transformer.pt', 'classifier.pt', 'classifier-features.pt', 'massive-activations.json'];

/** bundle.json or one of its files, with or without its checksum corrected. */
async function runBundle(random: Random): Promise<string> {
  const manifest = JSON.parse(readFileSync(join(embedded, 'bundle.json'), 'utf8')) as Record<string, unknown>;
  const folder = join(place, 'bundle');
  mkdirSync(folder);
  for (const file of files) cpSync(join(embedded, file), join(folder, file));
  if (random.chance(0.4)) {
    const file = random.pick(files);
    const bytes = readFileSync(join(folder, file));
    const changed = file.endsWith('.pt') ? mutateArchive(random, readZip(bytes)) : mutateBytes(random, bytes);
    writeFileSync(join(folder, file), changed);
    const sha256 = createHash('sha256').update(changed).digest('hex');
    if (random.chance(0.9)) (manifest['files'] as Record<string, unknown>)[file] = { sha256, bytes: changed.length };
    writeFileSync(join(folder, 'bundle.json'), JSON.stringify(manifest));
  } else {
    const keys = [
      'format',
      'family',
      'files',
      'latent',
      'inputs',
      'shape',
      'role',
      'blocks',
      'path',
      'streams',
      'channels',
      'kind',
      'vae',
      'textEncoders',
      'defaults',
      'guidance',
      'detail',
      'scheduler',
      'layer',
    ];
    const changed = JSON.stringify(mutateValue(random, manifest, keys, 2), withoutCycles());
    writeFileSync(
      join(folder, 'bundle.json'),
      random.chance(0.9) ? changed : mutateBytes(random, Buffer.from(changed)),
    );
  }
  await using pipeline = await api.loadPipeline(folder, { device: 'cpu', signal: AbortSignal.timeout(patience) });
  await pipeline.generate({ classLabel: 0, seed: 1, numInferenceSteps: 1, signal: AbortSignal.timeout(patience) });
  return 'ok';
}

function withoutCycles() {
  const seen = new Set<unknown>();
  return (_: string, value: unknown): unknown => {
    if (typeof value === 'bigint') return value.toString();
    if (value === null || typeof value !== 'object') return value;
    if (seen.has(value)) return null;
    seen.add(value);
    return value;
  };
}

function runSafetensors(random: Random): string {
  const whole = Buffer.from(
    api.encodeSafetensors({
      a: { data: new Float32Array(6), shape: [2, 3], dtype: 'float32' },
      b: { data: new BigInt64Array(2), shape: [2], dtype: 'int64' },
    }),
  );
  const header = Number(whole.readBigUInt64LE(0));
  let changed = mutateBytes(random, whole);
  if (random.chance(0.5)) {
    const json = JSON.parse(whole.toString('utf8', 8, 8 + header)) as Record<string, unknown>;
    const text = Buffer.from(
      JSON.stringify(
        mutateValue(random, json, ['dtype', 'shape', 'data_offsets', '__metadata__', 'c']),
        withoutCycles(),
      ),
    );
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(text.length));
    changed = Buffer.concat([length, text, whole.subarray(8 + header)]);
  }
  writeFileSync(join(place, 'tensors.safetensors'), changed);
  api.decodeSafetensors(changed);
  return 'ok';
}

const pictures = readPictures();

function readPictures(): Buffer[] {
  const plain = Buffer.from(
    api.encodePng({ width: 4, height: 4, channels: 3, pixels: new Uint8Array(48), text: { a: 'b' } } as never),
  );
  const jpeg = Buffer.from(
    '/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAAMCAgICAgMCAgIDAwMDBAYEBAQEBAgGBgUGCQgKCgkICQkKDA8MCgsOCwkJDRENDg8QEBEQCgwSExIQEw8QEBD/wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAACf/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AVN//2Q==',
    'base64',
  );
  return [plain, jpeg];
}

async function runPicture(random: Random): Promise<string> {
  const picture = random.pick(pictures);
  const changed =
    random.chance(0.6) && picture === pictures[0] ? mutateChunks(random, picture) : mutateBytes(random, picture, 6);
  writeFileSync(join(place, 'picture'), changed);
  if (random.chance(0.3)) api.readMetadata(changed);
  else await decodePicture(changed, 'image');
  return 'ok';
}

/** Changes what is in the chunks of a PNG, and says so in their checksums. */
function mutateChunks(random: Random, png: Buffer): Buffer {
  const parts = [png.subarray(0, 8)];
  for (let at = 8; at + 12 <= png.length;) {
    const length = png.readUInt32BE(at);
    const type = png.subarray(at + 4, at + 8);
    let data = png.subarray(at + 8, at + 8 + length);
    if (random.chance(0.3)) data = mutateBytes(random, data);
    const copies = random.chance(0.1) ? random.below(3) : 1;
    const size = Buffer.alloc(4);
    size.writeUInt32BE(data.length);
    const sum = Buffer.alloc(4);
    sum.writeUInt32BE(crc32(Buffer.concat([type, data])));
    for (let copy = 0; copy < copies; copy++) parts.push(size, type, data, sum);
    at += 12 + length;
  }
  return Buffer.concat(parts);
}

function crc32(bytes: Buffer): number {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return (sum ^ 0xffffffff) >>> 0;
}

let pipeline: Promise<api.Pipeline> | null = null;

const optionKeys = [
  'prompt',
  'negativePrompt',
  'classLabel',
  'seed',
  'numImages',
  'batchSize',
  'numInferenceSteps',
  'width',
  'height',
  'latents',
  'image',
  'maskImage',
  'strength',
  'guidance',
  'detail',
  'classifierFree',
  'scale',
  'layer',
  'channels',
  'retention',
  'tokens',
  'start',
  'stop',
  'scheduler',
  'kind',
  'shift',
  'hooks',
  'edits',
  'site',
  'path',
  'tap',
  'stream',
  'onStep',
  'onProgress',
  'onWarning',
  'signal',
  'preset',
  'apg',
  'slg',
  'pag',
  'seg',
  'layers',
  'partialForward',
  'steps',
  'sites',
  'record',
  'include',
  'dtype',
  'device',
  'timesteps',
  'out',
];

async function runCall(random: Random): Promise<string> {
  const loaded = await (pipeline ??= api.loadPipeline('embedded', { device: 'cpu' }));
  const signal = AbortSignal.timeout(patience);
  const options = (valid: Record<string, unknown> = {}) =>
    (random.chance(0.05) ? anything(random) : mutateValue(random, { signal, ...valid }, optionKeys)) as never;
  const sampling = {
    classLabel: 'Sneaker',
    seed: 7,
    numInferenceSteps: 2,
    guidance: { classifierFree: { scale: 2 }, detail: { scale: 0.3, layer: 3, channels: [1, 2], retention: 0 } },
  };
  const inputs = {
    sample: { data: new Float32Array(784), shape: [1, 1, 28, 28], dtype: 'float32' },
    timestep: { data: new Float32Array([0.5]), shape: [1], dtype: 'float32' },
    class_label: { data: new BigInt64Array([1n]), shape: [1], dtype: 'int64' },
  };
  const calls: Record<string, () => unknown> = {
    generate: () => loaded.generate(options(sampling)),
    plan: () => loaded.plan(options(sampling)).explain(),
    forward: () =>
      loaded.forward(
        random.chance(0.7) ? (mutateValue(random, inputs, Object.keys(inputs)) as never) : (inputs as never),
        options(),
      ),
    activations: async () => {
      for await (const record of loaded.activations(options({ ...sampling, sites: ['blocks.3'] }))) void record;
    },
    quantisationStatistics: () => loaded.quantisationStatistics(options({ ...sampling })),
    encodePrompt: () => loaded.encodePrompt(anything(random) as never, options()),
    loadPipeline: async () => {
      await using made = await api.loadPipeline(
        random.chance(0.7) ? 'embedded' : (anything(random) as never),
        options({ device: 'cpu' }),
      );
      void made;
    },
    loadTorchScript: async () => {
      await using made = await api.loadTorchScript(
        random.chance(0.7) ? join(embedded, 'classifier.pt') : (anything(random) as never),
        options({ device: 'cpu' }),
      );
      await made.run(random.chance(0.5) ? ([tensor(random)] as never) : (anything(random) as never));
    },
    encodePng: () =>
      api.encodePng(
        mutateValue(random, { width: 2, height: 2, channels: 3, pixels: new Uint8Array(12) }, [
          'text',
          'width',
          'pixels',
        ]) as never,
      ),
    tensors: () => [
      api.toFloat32(tensor(random) as never),
      api.encodeSafetensors({ a: tensor(random) } as never),
      api.fromFloat32(anything(random) as never, anything(random) as never, anything(random) as never),
    ],
    metadata: () => [api.readMetadata(anything(random) as never), api.readOptions(anything(random) as never)],
    devices: () => [api.memoryStatistics(anything(random) as never), api.emptyCache(anything(random) as never)],
    findMassiveActivations: () => findMassiveActivations(loaded, options({ images: 1, timesteps: [0.5] })),
    traceMagnitude: () => traceMagnitude(loaded, options({ images: 1 })),
    traceGates: () => traceGates(loaded, options({ images: 1 })),
  };
  const name = random.pick(Object.keys(calls));
  writeFileSync(join(place, 'call.txt'), `${name}\n`);
  // All of them settle here, not in the next case.
  await Promise.all([calls[name]!()].flat());
  return 'ok';
}

/** Command lines; those of commands that download or serve are not tried. */
async function runCommand(random: Random): Promise<string> {
  const lines = [
    ['generate', 'embedded', '--class', 'Sneaker', '--seed', '7', '--steps', '1', '--out', join(place, 'x.png')],
    ['inspect', 'embedded', '--json'],
    ['analyze', 'embedded', '--images', '1', '--out', join(place, 'analysis')],
    ['dump', 'embedded', '--steps', '1', '--out', join(place, 'dump')],
    ['features', 'embedded', join(place, 'x.png'), '--out', join(place, 'f.safetensors')],
    ['evaluate', 'embedded', '--out', join(place, 'evaluation')],
    ['doctor'],
  ];
  const given = [...random.pick(lines)];
  random.times(3, () => {
    const at = 1 + random.below(given.length);
    const word = random.pick([
      '',
      '-',
      '--',
      '--json',
      '--seed',
      '-1',
      'NaN',
      '1e99',
      '--width',
      '65536',
      'nowhere',
      '--cfg-scale',
      '--detail-scale',
      '--device',
      'cuda',
      '--dtype',
      'x'.repeat(5000),
      '--help',
      '--out',
      '/dev/full',
      '--class',
      '--prompt',
      '…',
      '--layer',
      '--channels',
      '1,2',
      '--guidance',
      '{"detail":',
    ]);
    given.splice(at, random.below(2), word);
  });
  writeFileSync(join(place, 'command.json'), JSON.stringify(given));
  // Long runs are ended as a user's interrupt ends them.
  const timer = setTimeout(() => process.emit('SIGINT', 'SIGINT'), patience);
  try {
    await createProgram().parseAsync(given, { from: 'user' });
    return 'ok';
  } catch (error) {
    if (error instanceof CommanderError) return 'usage';
    if (error instanceof Error && error.name === 'Interrupted') return 'ABORT_ERR';
    throw error;
  } finally {
    clearTimeout(timer);
    process.exitCode = 0;
  }
}
