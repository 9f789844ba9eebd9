/** `GET /v1/bundles`: what can be asked for. */
import type { Hono } from 'hono';

import { frameRateOf, type BundleManifest } from '../../bundle';
import { presetNames } from '../../guidance';
import type { ServerSettings } from '../options';
import type { Services } from '../services';

export function bundleRoutes(app: Hono, services: Services): void {
  const { bundles, settings } = services;

  app.get('/v1/bundles', async (context) => {
    const described = bundles.names.map(async (id) => {
      const { layers = null, device = null, dtype = null } = bundles.facts(id) ?? {};
      const state = { id, loaded: bundles.isLoaded(id), layers, device, dtype };
      try {
        return { ...state, ...describeBundle(await bundles.manifest(id)) };
      } catch (error) {
        return { ...state, error: { code: (error as { code?: string }).code ?? 'INTERNAL' } };
      }
    });
    const workers = await services.jobs.workers?.();
    return context.json({
      bundles: await Promise.all(described),
      presets: presetNames,
      // Workers load as they were told, and not as this server was.
      ...(workers ? { workers } : { load: forcedLoad(settings.load) }),
    });
  });
}

/** How the server was told to load bundles, as far as it changes the bytes of a picture and is no default. */
export function forcedLoad({ device, devices, dtype, fuse }: ServerSettings['load']) {
  return {
    ...(device === undefined || device === 'auto' ? {} : { device }),
    ...(devices === undefined || Object.keys(devices).length === 0 ? {} : { devices }),
    ...(dtype === undefined || dtype === 'float32' ? {} : { dtype }),
    ...(fuse === undefined || fuse === true ? {} : { fuse }),
  };
}

/** Roles of inputs that are made of the call's other options. */
const ownRoles: ReadonlySet<string> = new Set(['latent', 'timestep', 'guidance']);

/** What of `bundle.json` a client needs to ask for pictures. */
export function describeBundle(manifest: BundleManifest) {
  const { name, family, licence, description, conditioning, latent, vae, transformer, files } = manifest;
  const cell = vae?.scale ?? 1;
  const [rows, columns] = transformer.tokenGrid;
  const latentShape = transformer.inputs.find(({ role }) => role === 'latent')!.shape;
  const isFree = (axis: number) => typeof latentShape.at(axis) === 'string';
  return {
    name,
    family,
    licence,
    description: description ?? null,
    /** sha256 of the transformer: pictures say by which one they were made. */
    transformer: files[transformer.file]!.sha256,
    conditioning: conditioning.kind,
    /** Whether classifier-free guidance has something to be unconditional on. */
    unconditional:
      conditioning.kind === 'text' || (conditioning.kind === 'class' && conditioning.nullClass !== undefined),
    /** Whether the model takes the scale of its guidance as an input. */
    embeddedGuidance: transformer.inputs.some(({ role }) => role === 'guidance'),
    /** Inputs whose tensors a caller has to give. */
    tensors:
      conditioning.kind === 'tensors'
        ? transformer.inputs.filter(({ role }) => !ownRoles.has(role)).map(({ name }) => name)
        : [],
    classes: conditioning.kind === 'class' ? (conditioning.labels ?? conditioning.numClasses) : null,
    size: {
      width: latent.width * cell,
      height: latent.height * cell,
      /** Null: as much as the server allows. */
      maxWidth: isFree(-1) ? (latent.maxWidth ? latent.maxWidth * cell : null) : latent.width * cell,
      maxHeight: isFree(-2) ? (latent.maxHeight ? latent.maxHeight * cell : null) : latent.height * cell,
      /** Of a token: what widths and heights are multiples of. Null: there is one size. */
      widthStep: isFree(-1) ? (latent.width / columns) * cell : null,
      heightStep: isFree(-2) ? (latent.height / rows) * cell : null,
      /** Of a video; 1 for a picture. */
      frames: 1 + ((latent.frames ?? 1) - 1) * (vae?.frameScale ?? 1),
      /** What numbers of frames are one more than multiples of. Null: there is one number. */
      framesStep: latent.frames !== undefined && isFree(-3) ? (vae?.frameScale ?? 1) : null,
    },
    /** Frames a second of a video; null for a picture. */
    frameRate: frameRateOf(manifest),
    imageChannels: manifest.image.channels,
    imageToImage: vae ? vae.encoder !== undefined : latent.frames === undefined,
    tokenGrid: transformer.tokenGrid,
    hiddenChannels: transformer.hiddenChannels,
    massiveActivations: manifest.massiveActivations ?? null,
    scheduler: manifest.scheduler,
    defaults: manifest.defaults ?? {},
  };
}
