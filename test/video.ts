/** A small Wan of diffusers, for tests of videos. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe } from '@jest/globals';
import { decodeApng } from 'fast-png';

import type { BundleManifest } from '../lib/bundle';

import { Oracle, python } from './parity/oracle';

if (!python.path) console.warn(`${python.reason}: the tests of videos are skipped`);
export const withVideos = python.path ? describe : describe.skip;

export interface VideoBundle {
  /** Of the bundle; its name is `wan`. */
  folder: string;
  remove(): void;
}

/** By itself it makes 5 frames of 64 x 64 pixels in 2 steps, 16 frames a second. */
export async function exportSmallWan(): Promise<VideoBundle> {
  const place = mkdtempSync(join(tmpdir(), 'detail-guidance-video-'));
  const folder = join(place, 'wan');
  const oracle = new Oracle();
  await oracle.ask({ op: 'export', family: 'wan', variant: 'wan', out: folder }).finally(() => oracle.close());
  const file = join(folder, 'bundle.json');
  const manifest = JSON.parse(readFileSync(file, 'utf8')) as BundleManifest;
  const { transformer, latent, defaults } = manifest;
  const small = {
    ...manifest,
    transformer: { ...transformer, tokenGrid: [4, 4] },
    latent: { ...latent, frames: 2, height: 8, width: 8 },
    defaults: { ...defaults, numInferenceSteps: 2 },
  };
  writeFileSync(file, JSON.stringify(small));
  return { folder, remove: () => rmSync(place, { recursive: true, force: true }) };
}

/** The frames of an animated PNG, and how many there are a second, by a reader that is not ours. */
export function framesOf(png: Uint8Array): { frames: Uint8Array[]; frameRate: number } {
  const { frames } = decodeApng(png, { checkCrc: true });
  const [first] = frames;
  return {
    frames: frames.map(({ data }) => data as Uint8Array),
    frameRate: first!.delayDenominator / first!.delayNumber,
  };
}
