/** From settings to the request of one view of them. */
import { preset } from '../../../lib/guidance/presets';
import type { BundleInfo, DetailOptions, GuidanceOptions, ImageRequest, PresetName } from '../api/types';

import { maskPng } from './mask';
import type { GridMask, Settings } from './settings';

/** The five that are linked: what Detail Guidance moves away from, with and without classifier-free guidance. */
export const linkedViews = ['conditional', 'disrupted', 'detail', 'cfg', 'detail+cfg'] as const satisfies PresetName[];

const titles: Partial<Record<PresetName, string>> = {
  conditional: 'Conditional',
  disrupted: 'MA-disrupted',
  detail: 'Detail Guidance',
  cfg: 'CFG',
  'detail+cfg': 'CFG + Detail',
  'detail+cfg-fast': 'CFG + Detail, reused',
  's2+cfg': 'CFG + S²',
  blur: 'Blur',
  'blur+cfg': 'CFG + blur',
  'cfg-zero*': 'CFG-Zero*',
  'cfg+rescale': 'CFG + rescale',
};

export function titleOf(view: PresetName): string {
  return (
    titles[view] ??
    view
      .split('+')
      .map((name) => name.toUpperCase())
      .reverse()
      .join(' + ')
  );
}

/** The guidance of a preset, with the settings' own options of each technique in it. */
export function guidanceOf(view: PresetName, settings: Settings): GuidanceOptions {
  const { cfg, detail } = settings;
  const disrupt = {
    layer: detail.layer,
    channels: detail.channels,
    ...(detail.retention === 0 ? {} : { retention: detail.retention }),
    ...(detail.tokens ? { tokens: rowsOf(detail.tokens) } : {}),
  };
  return preset(view, {
    classifierFree: { scale: cfg.scale, ...windowOf(cfg) },
    detail: { scale: detail.scale, ...disrupt, ...windowOf(detail) } satisfies DetailOptions,
    disrupt,
  });
}

export function requestOf(settings: Settings, view: PresetName, bundle: BundleInfo): ImageRequest {
  return requestWith(settings, guidanceOf(view, settings), bundle);
}

export function requestWith(settings: Settings, guidance: GuidanceOptions, bundle: BundleInfo): ImageRequest {
  const { numFrames, steps, sampler, embedded, image, strength, repaint } = settings;
  // Without a size the picture's own would be taken.
  const isStarted = image !== null && bundle.imageToImage;
  const width = settings.width ?? (isStarted ? bundle.size.width : null);
  const height = settings.height ?? (isStarted ? bundle.size.height : null);
  return {
    bundle: bundle.id,
    ...subjectOf(settings, bundle),
    ...(width === null ? {} : { width }),
    ...(height === null ? {} : { height }),
    ...(numFrames === null ? {} : { numFrames }),
    seed: settings.seed,
    ...(steps === null ? {} : { numInferenceSteps: steps }),
    ...(sampler === null ? {} : { scheduler: { kind: sampler } as ImageRequest['scheduler'] }),
    ...(isStarted ? { image, strength } : {}),
    ...(isStarted && repaint ? { maskImage: maskPng(repaint) } : {}),
    guidance: embedded !== null && bundle.embeddedGuidance ? { ...guidance, embedded: { scale: embedded } } : guidance,
  };
}

const dot =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=';

/** The request with a dot for each picture that is given, which may be megabytes. */
export const withDots = ({ image, maskImage, ...request }: ImageRequest): ImageRequest => ({
  ...request,
  ...(image && { image: dot }),
  ...(maskImage && { maskImage: dot }),
});

/** What the picture shows, as the bundle is conditioned. */
export function subjectOf(settings: Settings, { conditioning }: BundleInfo): ImageRequest {
  const { classLabel, prompt, negativePrompt } = settings;
  if (conditioning === 'class') return { classLabel };
  if (conditioning === 'text') return { prompt, ...(negativePrompt === '' ? {} : { negativePrompt }) };
  return {};
}

/** In words, for a title. */
export function subjectInWords(request: ImageRequest, bundle: BundleInfo | null): string {
  const { classLabel, prompt } = request;
  if (typeof prompt === 'string') return prompt;
  if (typeof classLabel === 'number' && Array.isArray(bundle?.classes)) return bundle.classes[classLabel] ?? '';
  return classLabel === undefined ? '' : `class ${String(classLabel)}`;
}

function windowOf({ start, stop }: { start: number; stop: number }): { start?: number; stop?: number } {
  return { ...(start === 0 ? {} : { start }), ...(stop === 1 ? {} : { stop }) };
}

/** A mask as the facade takes it: rows of numbers. */
export function rowsOf({ rows, columns, cells }: GridMask): number[][] {
  return Array.from({ length: rows }, (_, row) => cells.slice(row * columns, (row + 1) * columns));
}
