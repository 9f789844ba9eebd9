/** `detail-guidance/electron`: for Electron's main process. The model is in a process of its own; windows get a bridge. */
import { join } from 'node:path';

import { packageRoot } from '../files/packageRoot';
import { unpacked } from '../files/unpacked';

export { studioFolder } from '../files/studioFolder';
export { startPipeline, type PipelineProcess, type StartOptions } from './pipelineProcess';
export { startServer, type ServerProcess, type StartServerOptions } from './serverProcess';
export { offerGallery } from './gallery';
export type { GalleryBridge, GalleryList, GalleryPicture } from './galleryTypes';
export type { FrameLike, IpcLike, WindowLike } from './electron';
export type { MainPort } from './port';
export type { ProcessOptions } from './host';
export type { OpenedPicture } from './dialogs';
export type { Bridge, NextStep, Run, SteppedRun } from './preload';
export type {
  Listeners,
  Outcome,
  PipelineInfo,
  PlainOptions,
  Problem,
  ProcessPicture,
  ProcessPlan,
  ProcessResult,
} from './types';

/** The path of a preload script that exposes the bridge as `window.detailGuidance`; it works in a sandboxed window. */
export function preloadFile(): string {
  return unpacked(join(packageRoot(), 'dist', 'electronPreload.cjs'));
}

/**
 * The path of a preload script for windows that show the studio: its gallery is the folder of `offerGallery`, which has to
 * be called before the page is loaded. It works in a sandboxed window.
 */
export function studioPreloadFile(): string {
  return unpacked(join(packageRoot(), 'dist', 'electronStudioPreload.cjs'));
}
