/** What a schema cannot say about `bundle.json`: that its parts agree with each other. */
import type { BundleManifest } from './manifest';
import type { Expression } from './manifest';

type Disagreement = [path: string, sentence: string];

/** The first disagreement, as `[path, sentence]`, or null when the parts agree. */
export function findDisagreement(manifest: BundleManifest): Disagreement | null {
  return (
    checkFiles(manifest) ??
    checkRoles(manifest) ??
    checkConditioning(manifest) ??
    checkLatent(manifest) ??
    checkTextEncoders(manifest) ??
    checkImage(manifest) ??
    checkMassiveActivations(manifest)
  );
}

function checkFiles(manifest: BundleManifest): Disagreement | null {
  for (const [path, file] of Object.entries(namedFiles(manifest))) {
    if (!Object.hasOwn(manifest.files, file))
      return [path, `names '${file}', which 'files' does not list with its sha256`];
  }
  return null;
}

function checkRoles({ transformer }: BundleManifest): Disagreement | null {
  for (const role of ['latent', 'timestep'] as const) {
    const found = transformer.inputs.filter((input) => input.role === role).length;
    if (found !== 1) return ['transformer.inputs', `has ${found} inputs with the role '${role}', not one`];
  }
  return null;
}

function checkConditioning({ transformer, conditioning, textEncoders = {} }: BundleManifest): Disagreement | null {
  if (conditioning.kind === 'class') {
    const found = transformer.inputs.filter((input) => input.role === 'class').length;
    if (found !== 1) {
      return [
        'transformer.inputs',
        `has ${found} inputs with the role 'class'; conditioning by class needs exactly one`,
      ];
    }
    const { labels, numClasses } = conditioning;
    if (labels && labels.length !== numClasses) {
      return ['conditioning.labels', `has ${labels.length} labels for ${numClasses} classes`];
    }
  }
  if (conditioning.kind !== 'text') return null;
  for (const { name, role } of transformer.inputs) {
    if (['latent', 'timestep', 'guidance'].includes(role) || Object.hasOwn(conditioning.inputs, name)) continue;
    return ['conditioning.inputs', `does not say what the transformer's input '${name}' is made of`];
  }
  for (const [name, expression] of Object.entries(conditioning.inputs)) {
    const path = `conditioning.inputs.${name}`;
    if (!transformer.inputs.some((input) => input.name === name)) return [path, 'is not an input of the transformer'];
    for (const leaf of leaves(expression)) {
      if ('from' in leaf) {
        const encoder = Object.hasOwn(textEncoders, leaf.from) ? textEncoders[leaf.from] : undefined;
        if (!encoder) return [path, `takes the output of '${leaf.from}', which is not one of textEncoders`];
        if (leaf.output !== 'mask' && !encoder.outputs.includes(leaf.output)) {
          return [
            path,
            `takes the output '${leaf.output}' of '${leaf.from}', which gives ${encoder.outputs.join(', ')}`,
          ];
        }
      }
      if ('like' in leaf && !Object.hasOwn(conditioning.inputs, leaf.like)) {
        return [path, `is like '${leaf.like}', which is not one of conditioning.inputs`];
      }
    }
  }
  return null;
}

/** The parts of an expression that are not joins. */
function leaves(expression: Expression): Exclude<Expression, { join: unknown }>[] {
  return 'join' in expression ? expression.of.flatMap(leaves) : [expression];
}

function checkLatent({ transformer, latent }: BundleManifest): Disagreement | null {
  const { shape } = transformer.inputs.find((input) => input.role === 'latent')!;
  const { channels, frames, height, width } = latent;
  const wanted = [channels, ...(frames === undefined ? [] : [frames]), height, width];
  const fits = shape.slice(1).every((size, axis) => typeof size === 'string' || size === wanted[axis]);
  if (shape.length !== wanted.length + 1 || !fits) {
    return [
      'transformer.inputs',
      `gives the latent the shape [${shape.join(', ')}] but latent is ${wanted.join(' x ')}`,
    ];
  }
  if (transformer.outputChannels < latent.channels) {
    return [
      'transformer.outputChannels',
      `is ${transformer.outputChannels}, fewer than the ${latent.channels} channels of the latent`,
    ];
  }
  const [rows, columns] = transformer.tokenGrid;
  if (shape.some((size, axis) => axis > 1 && typeof size === 'string') && (height % rows || width % columns)) {
    return [
      'transformer.tokenGrid',
      `is ${rows} x ${columns}, which does not divide the latent of ${height} x ${width} cells`,
    ];
  }
  return null;
}

function checkTextEncoders({ textEncoders = {}, conditioning }: BundleManifest): Disagreement | null {
  for (const [name, { tokenizer, outputs, width, pooledWidth }] of Object.entries(textEncoders)) {
    const path = `textEncoders.${name}`;
    if (tokenizer.kind === 'clip' && tokenizer.startId === undefined) {
      return [`${path}.tokenizer`, "is of the kind 'clip' and has no startId"];
    }
    const known = conditioning.kind === 'text' && conditioning.maxSequenceLength !== undefined;
    if (tokenizer.maxLength === undefined && !known) {
      return [`${path}.tokenizer`, 'has no maxLength, and conditioning no maxSequenceLength'];
    }
    if (outputs.includes('sequence') && width === undefined) return [path, 'gives a sequence and has no width'];
    if (outputs.includes('pooled') && pooledWidth === undefined) return [path, 'gives pooled and has no pooledWidth'];
  }
  return null;
}

function checkImage({ image, latent, vae }: BundleManifest): Disagreement | null {
  if (image.kind === 'pixels') {
    if (image.channels === latent.channels) return null;
    return [
      'image.channels',
      `is ${image.channels}, but pixels that are the latent have its ${latent.channels} channels`,
    ];
  }
  if (!vae) return ['image.kind', "is 'vae', and there is no vae"];
  for (const key of ['mean', 'std'] as const) {
    const found = vae[key];
    if ((found === undefined) !== (vae.mean === undefined))
      return [`vae.${key}`, 'is missing: mean and std go together'];
    if (found && found.length !== latent.channels) {
      return [`vae.${key}`, `has ${found.length} numbers for ${latent.channels} channels of the latent`];
    }
  }
  if ((latent.frames === undefined) !== (vae.frameScale === undefined)) {
    return ['vae.frameScale', 'and latent.frames go together: both for video, neither for pictures'];
  }
  return null;
}

function checkMassiveActivations({ massiveActivations, transformer }: BundleManifest): Disagreement | null {
  const channel = massiveActivations?.channels.find((index) => index >= transformer.hiddenChannels);
  if (channel === undefined) return null;
  return ['massiveActivations.channels', `has channel ${channel} of ${transformer.hiddenChannels} hidden channels`];
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
