/** What a picture is to be made of, and how a page begins that remembers nothing. */
import type { Retention } from '../api/types';

/** Chosen cells of a grid, row by row, 1 or 0. */
export interface GridMask {
  rows: number;
  columns: number;
  cells: number[];
}

export interface Settings {
  /** Name of a bundle of the server's; null: its first. */
  bundle: string | null;
  classLabel: number;
  prompt: string;
  negativePrompt: string;
  /** In pixels; null: the bundle's. */
  width: number | null;
  height: number | null;
  /** Of a video; null: the bundle's. */
  numFrames: number | null;
  seed: number;
  /** Whether "make" keeps the seed. */
  seedLocked: boolean;
  /** Null: the bundle's. */
  steps: number | null;
  sampler: string | null;
  /** Scale of the guidance that the model takes as an input, where it takes one; null: the bundle's. */
  embedded: number | null;
  cfg: { scale: number; start: number; stop: number };
  detail: {
    scale: number;
    layer: 'auto' | number;
    channels: 'auto' | number[];
    retention: Retention;
    start: number;
    stop: number;
    /** Local Detail Guidance: the image tokens that are disrupted; null: all. */
    tokens: GridMask | null;
  };
  /** A PNG, JPEG or WebP as data URL, to start from. */
  image: string | null;
  strength: number;
  /** Where `image` is painted anew; null: everywhere. */
  repaint: GridMask | null;
}

export const initialSettings: Settings = {
  bundle: null,
  classLabel: 0,
  prompt: '',
  negativePrompt: '',
  width: null,
  height: null,
  numFrames: null,
  seed: 7,
  seedLocked: true,
  steps: null,
  sampler: null,
  embedded: null,
  cfg: { scale: 4, start: 0, stop: 1 },
  detail: { scale: 0.3, layer: 'auto', channels: 'auto', retention: 0, start: 0, stop: 1, tokens: null },
  image: null,
  strength: 0.6,
  repaint: null,
};
