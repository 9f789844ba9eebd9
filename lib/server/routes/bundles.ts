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

/** What of `bundle.json` a client needs to ask for pictures. */
export function describeBundle(manifest: BundleManifest) {
  const { name, family, licence, description, conditioning, latent, vae, transformer } = manifest;
  const cell = vae?.scale ?? 1;
  return {
    name,
    family,
    licence,
    description: description ?? null,
    conditioning: conditioning.kind,
    classes: conditioning.kind === 'class' ? (conditioning.labels ?? conditioning.numClasses) : null,
    size: {
      width: latent.width * cell,
      height: latent.height * cell,
      maxWidth: (latent.maxWidth ?? latent.width) * cell,
      maxHeight: (latent.maxHeight ?? latent.height) * cell,
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
