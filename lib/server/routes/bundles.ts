/** `GET /v1/bundles`: what can be asked for. */
import type { Hono } from 'hono';

import type { BundleManifest } from '../../bundle';
import { presetNames } from '../../guidance';
import type { Services } from '../services';

export function bundleRoutes(app: Hono, services: Services): void {
  const { bundles } = services;

  app.get('/v1/bundles', async (context) => {
    const described = bundles.names.map(async (id) => {
      const state = { id, loaded: bundles.isLoaded(id), layers: bundles.blocks(id) };
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
      ...(workers ? { workers } : {}),
    });
  });
}

/** Roles of inputs that are made of the call's other options. */
const ownRoles: ReadonlySet<string> = new Set(['latent', 'timestep', 'guidance']);

/** What of `bundle.json` a client needs to ask for pictures. */
export function describeBundle(manifest: BundleManifest) {
  const { name, family, licence, description, conditioning, latent, vae, transformer } = manifest;
  const cell = vae?.scale ?? 1;
  const [rows, columns] = transformer.tokenGrid;
  const latentShape = transformer.inputs.find(({ role }) => role === 'latent')!.shape;
  const isFree = (axis: number) => typeof latentShape.at(axis) === 'string';
  return {
    name,
    family,
    licence,
    description: description ?? null,
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
      frames: latent.frames ?? 1,
    },
    imageChannels: manifest.image.channels,
    imageToImage: vae ? vae.encoder !== undefined : latent.frames === undefined,
    tokenGrid: transformer.tokenGrid,
    hiddenChannels: transformer.hiddenChannels,
    massiveActivations: manifest.massiveActivations ?? null,
    scheduler: manifest.scheduler,
    defaults: manifest.defaults ?? {},
  };
}
