/** What a schema cannot say about `bundle.json`: that its parts agree with each other. */
import type { BundleManifest } from './schema';

/** The first disagreement, as `[path, sentence]`, or null when the parts agree. */
export function findDisagreement(manifest: BundleManifest): [path: string, sentence: string] | null {
  const { transformer, latent, conditioning, massiveActivations, image } = manifest;
  for (const [path, file] of Object.entries(namedFiles(manifest))) {
    if (!Object.hasOwn(manifest.files, file))
      return [path, `names '${file}', which 'files' does not list with its sha256`];
  }
  for (const role of ['latent', 'timestep'] as const) {
    const found = transformer.inputs.filter((input) => input.role === role).length;
    if (found !== 1)
      return ['transformer.inputs', `has ${found} inputs with the role '${role}'; exactly one would be right`];
  }
  const classInputs = transformer.inputs.filter((input) => input.role === 'class').length;
  if (conditioning.kind === 'class') {
    if (classInputs !== 1) {
      return [
        'transformer.inputs',
        `has ${classInputs} inputs with the role 'class'; conditioning by class needs exactly one`,
      ];
    }
    const { labels, numClasses } = conditioning;
    if (labels && labels.length !== numClasses) {
      return ['conditioning.labels', `has ${labels.length} labels for ${numClasses} classes`];
    }
  }
  const latentInput = transformer.inputs.find((input) => input.role === 'latent')!;
  const wanted = [latent.channels, latent.height, latent.width];
  const fits = latentInput.shape.slice(1).every((size, axis) => typeof size === 'string' || size === wanted[axis]);
  if (latentInput.shape.length !== 4 || !fits) {
    return [
      'transformer.inputs',
      `gives the latent the shape [${latentInput.shape.join(', ')}] but latent is ${wanted.join(' x ')}`,
    ];
  }
  if (transformer.outputChannels < latent.channels) {
    return [
      'transformer.outputChannels',
      `is ${transformer.outputChannels}, fewer than the ${latent.channels} channels of the latent`,
    ];
  }
  if (image.kind === 'pixels' && image.channels !== latent.channels) {
    return [
      'image.channels',
      `is ${image.channels}, but pixels that are the latent have its ${latent.channels} channels`,
    ];
  }
  const channel = massiveActivations?.channels.find((index) => index >= transformer.hiddenChannels);
  if (channel !== undefined) {
    return ['massiveActivations.channels', `has channel ${channel} of ${transformer.hiddenChannels} hidden channels`];
  }
  return null;
}

/** Every file that the manifest refers to, by the path of the key that does. */
function namedFiles({ transformer, classifier, massiveActivations }: BundleManifest): Record<string, string> {
  return {
    'transformer.file': transformer.file,
    ...(classifier ? { 'classifier.file': classifier.file } : {}),
    ...(classifier?.features !== undefined ? { 'classifier.features': classifier.features } : {}),
    ...(massiveActivations?.statistics ? { 'massiveActivations.statistics': massiveActivations.statistics } : {}),
  };
}
