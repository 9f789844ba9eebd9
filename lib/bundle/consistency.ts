/** What a schema cannot say about `bundle.json`: that its parts agree with each other. */
import { invalid } from '../validation/invalid';
import { isBounded, mostNumbers } from './bounds';
import type { BundleInput, InputRole } from './bundle';
import type { BundleManifest } from './manifest';
import type { Expression } from './manifest';

/** @throws BUNDLE_INVALID at the first part that does not agree with another */
export function requireConsistency(manifest: BundleManifest): void {
  checkFiles(manifest);
  checkRoles(manifest);
  checkConditioning(manifest);
  checkLatent(manifest);
  checkTextEncoders(manifest);
  checkImage(manifest);
  checkMassiveActivations(manifest);
}

function disagrees(path: string, expected: string, received: unknown, words: { shown?: string; note?: string } = {}) {
  return invalid(`bundle.json.${path}`, expected, received, { code: 'BUNDLE_INVALID', ...words });
}

function checkFiles(manifest: BundleManifest): void {
  for (const [path, file] of Object.entries(namedFiles(manifest))) {
    if (!Object.hasOwn(manifest.files, file)) throw disagrees(path, "a file that 'files' lists with its sha256", file);
  }
}

function checkRoles({ transformer, conditioning }: BundleManifest): void {
  const roles = ['latent', 'timestep', ...(conditioning.kind === 'class' ? ['class'] : [])];
  for (const role of roles) {
    const count = transformer.inputs.filter((input) => input.role === role).length;
    if (count !== 1) throw disagrees('transformer.inputs', `one input with the role '${role}'`, count);
  }
  for (const [at, { name, role, dtype }] of transformer.inputs.entries()) {
    const path = `transformer.inputs[${at}]`;
    const isTaken = transformer.inputs.findIndex((other) => other.name === name) < at;
    if (isTaken) throw disagrees(`${path}.name`, 'a name of its own', name);
    const holding = dtypesOf[role];
    if (holding && !holding.includes(dtype)) {
      throw disagrees(`${path}.dtype`, `one of ${holding.join(', ')}`, dtype, { note: `its role is '${role}'` });
    }
  }
}

const floats: readonly BundleInput['dtype'][] = ['float', 'float32', 'float16', 'bfloat16', 'float64'];
const integers: readonly BundleInput['dtype'][] = ['int64', 'int32'];

/** Dtypes that hold what an input is given; others would cut it without a word. */
const dtypesOf: Partial<Record<InputRole, readonly BundleInput['dtype'][]>> = {
  latent: floats,
  guidance: floats,
  class: integers,
  timestep: [...floats, ...integers],
};

function checkConditioning({ transformer, conditioning, textEncoders = {} }: BundleManifest): void {
  if (conditioning.kind === 'class') {
    const { labels, nullClass = 0, numClasses } = conditioning;
    if (nullClass > numClasses) {
      const expected = `a class from 0 to ${numClasses}: one of the ${numClasses}, or the one behind them`;
      throw disagrees('conditioning.nullClass', expected, nullClass);
    }
    if (labels && labels.length !== numClasses) {
      throw disagrees('conditioning.labels', `${numClasses} labels, one for each class`, labels.length);
    }
  }
  if (conditioning.kind !== 'text') return;
  const { maxSequenceLength: length } = conditioning;
  if (length && length.default > length.maximum) {
    throw disagrees('conditioning.maxSequenceLength.default', `at most the maximum, ${length.maximum}`, length.default);
  }
  for (const { name, role } of transformer.inputs) {
    if (['latent', 'timestep', 'guidance'].includes(role) || Object.hasOwn(conditioning.inputs, name)) continue;
    throw disagrees('conditioning.inputs', `what the transformer's input '${name}' is made of`, undefined);
  }
  for (const [name, expression] of Object.entries(conditioning.inputs)) {
    const path = `conditioning.inputs.${name}`;
    if (!transformer.inputs.some((input) => input.name === name)) {
      throw disagrees(path, 'the name of an input of the transformer', name);
    }
    for (const leaf of leaves(expression)) {
      if ('zeros' in leaf) {
        const { tokens, channels } = leaf.zeros;
        requireBounded(path, [typeof tokens === 'number' ? tokens : (length?.maximum ?? 1), channels]);
      }
      if ('from' in leaf) {
        const encoder = Object.hasOwn(textEncoders, leaf.from) ? textEncoders[leaf.from] : undefined;
        if (!encoder) throw disagrees(path, "the output of one of 'textEncoders'", leaf.from);
        if (leaf.output !== 'mask' && !encoder.outputs.includes(leaf.output)) {
          throw disagrees(path, `an output that '${leaf.from}' gives: ${encoder.outputs.join(', ')}`, leaf.output);
        }
      }
      if ('like' in leaf && !Object.hasOwn(conditioning.inputs, leaf.like)) {
        throw disagrees(path, "the name of one of 'conditioning.inputs'", leaf.like);
      }
    }
  }
}

/** The parts of an expression that are not joins. */
function leaves(expression: Expression): Exclude<Expression, { join: unknown }>[] {
  return 'join' in expression ? expression.of.flatMap(leaves) : [expression];
}

/** @throws BUNDLE_INVALID */
function requireBounded(path: string, sizes: readonly number[]): void {
  if (isBounded(sizes)) return;
  throw disagrees(path, `at most ${mostNumbers} numbers in all`, sizes, { shown: sizes.join(' x ') });
}

function checkLatent({ transformer, latent, vae }: BundleManifest): void {
  const { shape } = transformer.inputs.find((input) => input.role === 'latent')!;
  const { channels, frames, height, width } = latent;
  const sizes = [channels, ...(frames === undefined ? [] : [frames]), height, width];
  requireBounded('latent', sizes);
  for (const [at, input] of transformer.inputs.entries()) {
    requireBounded(
      `transformer.inputs[${at}].shape`,
      input.shape.filter((size) => typeof size === 'number'),
    );
  }
  const { scale = 1, frameScale = 1 } = vae ?? {};
  requireBounded('vae.scale', [height * scale, width * scale, (frames ?? 1) * frameScale]);
  const fits = shape.slice(1).every((size, axis) => typeof size === 'string' || size === sizes[axis]);
  if (shape.length !== sizes.length + 1 || !fits) {
    const expected = `the latent's shape to be [batch, ${sizes.join(', ')}], as 'latent' says`;
    throw disagrees('transformer.inputs', expected, shape, { shown: `[${shape.join(', ')}]` });
  }
  if (transformer.outputChannels < channels) {
    const expected = `at least the ${channels} channels of the latent`;
    throw disagrees('transformer.outputChannels', expected, transformer.outputChannels);
  }
  const [rows, columns] = transformer.tokenGrid;
  if (rows > height || columns > width) {
    const expected = `at most the latent's ${height} x ${width} cells`;
    throw disagrees('transformer.tokenGrid', expected, transformer.tokenGrid, { shown: `${rows} x ${columns}` });
  }
  if (shape.some((size, axis) => axis > 1 && typeof size === 'string') && (height % rows || width % columns)) {
    const expected = `divisors of the latent's ${height} x ${width} cells`;
    throw disagrees('transformer.tokenGrid', expected, transformer.tokenGrid, { shown: `${rows} x ${columns}` });
  }
}

function checkTextEncoders({ textEncoders = {}, conditioning }: BundleManifest): void {
  for (const [name, { tokenizer, outputs, width, pooledWidth }] of Object.entries(textEncoders)) {
    const path = `textEncoders.${name}`;
    if (tokenizer.kind === 'clip' && tokenizer.startId === undefined) {
      throw disagrees(`${path}.tokenizer.startId`, 'a token', undefined, { note: "the kind is 'clip'" });
    }
    const known = conditioning.kind === 'text' && conditioning.maxSequenceLength !== undefined;
    if (tokenizer.maxLength === undefined && !known) {
      const note = 'conditioning.maxSequenceLength is missing too';
      throw disagrees(`${path}.tokenizer.maxLength`, 'a number of tokens', undefined, { note });
    }
    const sizes = { sequence: ['width', width], pooled: ['pooledWidth', pooledWidth] } as const;
    for (const output of ['sequence', 'pooled'] as const) {
      const [key, size] = sizes[output];
      if (!outputs.includes(output) || size !== undefined) continue;
      throw disagrees(`${path}.${key}`, `the width of the output '${output}'`, undefined);
    }
  }
}

function checkImage({ image, latent, vae }: BundleManifest): void {
  if (image.kind === 'pixels') {
    if (image.channels === latent.channels) return;
    if (latent.channels !== 1 && latent.channels !== 3) {
      const note = `pixels have 1 or 3 channels, the latent has ${latent.channels}`;
      throw disagrees('image.kind', "'vae', and a decoder in 'vae'", image.kind, { note });
    }
    const note = 'the pixels are the latent';
    throw disagrees('image.channels', `${latent.channels}, the channels of the latent`, image.channels, { note });
  }
  if (!vae) throw disagrees('vae', 'the VAE', undefined, { note: "image.kind is 'vae'" });
  for (const key of ['mean', 'std'] as const) {
    const values = vae[key];
    if ((values === undefined) !== (vae.mean === undefined)) {
      throw disagrees(`vae.${key}`, 'mean and std together, or neither', values);
    }
    if (values && values.length !== latent.channels) {
      throw disagrees(`vae.${key}`, `${latent.channels} numbers, one for each channel of the latent`, values.length);
    }
  }
  if ((latent.frames === undefined) !== (vae.frameScale === undefined)) {
    const note = 'latent.frames and it go together: both for video, neither for pictures';
    const expected = latent.frames === undefined ? 'nothing' : 'frames of the video for one of the latent';
    throw disagrees('vae.frameScale', expected, vae.frameScale, { note });
  }
}

function checkMassiveActivations({ massiveActivations, transformer }: BundleManifest): void {
  if (!massiveActivations) return;
  const { stream, channels } = massiveActivations;
  const streams = [...new Set(transformer.blocks.flatMap((blocks) => blocks.streams))];
  if (!streams.includes(stream)) {
    throw disagrees('massiveActivations.stream', `a stream of the blocks: ${streams.join(', ')}`, stream);
  }
  const channel = channels.find((index) => index >= transformer.hiddenChannels);
  if (channel === undefined) return;
  throw disagrees('massiveActivations.channels', `channels from 0 to ${transformer.hiddenChannels - 1}`, channel);
}

/** Every file that the manifest refers to, by the path of the key that does. */
function namedFiles({
  transformer,
  textEncoders = {},
  vae,
  classifier,
  massiveActivations,
}: BundleManifest): Record<string, string> {
  return {
    'transformer.file': transformer.file,
    ...(transformer.quantized ? { 'transformer.quantized.file': transformer.quantized.file } : {}),
    ...Object.fromEntries(
      Object.entries(textEncoders).flatMap(([name, { file, tokenizer }]) => [
        [`textEncoders.${name}.file`, file],
        [`textEncoders.${name}.tokenizer.file`, tokenizer.file],
      ]),
    ),
    ...(vae ? { 'vae.decoder.file': vae.decoder.file } : {}),
    ...(vae?.encoder ? { 'vae.encoder.file': vae.encoder.file } : {}),
    ...(classifier ? { 'classifier.file': classifier.file } : {}),
    ...(classifier?.features !== undefined ? { 'classifier.features': classifier.features } : {}),
    ...(massiveActivations?.statistics ? { 'massiveActivations.statistics': massiveActivations.statistics } : {}),
  };
}
