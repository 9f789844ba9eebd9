/** The models that are compared, as both sides see them: reference/architectures.py makes them. */
import { floats, integers, noise } from './oracle';
import type { Tensor } from '../../lib/tensor';

export interface Subject {
  name: string;
  /** Paths of the blocks in order of evaluation. */
  layers: string[];
  streams: string[];
  /** A block's self-attention or joint attention, relative to the block. */
  attention: (layer: number) => string;
  /** A submodule of a block that takes one tensor and gives one. */
  feedForward: (layer: number) => string;
  channels: number;
  /** [channels, height, width] of the latent. */
  latent: [number, number, number];
  grid: [number, number];
  /** Joint attention has the image's tokens before the text's. */
  imageFirst: boolean;
  /** Timestep halfway through the noise, as the model takes it. */
  timestep: (rows: number) => Tensor;
  /** Conditioning by input name. */
  conditioning: (rows: number) => Record<string, Tensor>;
  negative: (rows: number) => Record<string, Tensor>;
  /** Of the reference; the bundle has the same. */
  scheduler: Record<string, unknown>;
}

const text = (rows: number, seed: number) => noise([rows, 6, 24], seed);
const pooled = (rows: number, seed: number) => noise([rows, 12], seed);
const grid: [number, number] = [4, 4];
const latent: [number, number, number] = [3, 8, 8];

const positions = floats(
  Array.from({ length: 16 }, (_, token) => [0, Math.floor(token / 4), token % 4]).flat(),
  [16, 3],
);

export const dit: Subject = {
  name: 'dit',
  layers: [0, 1, 2, 3].map((layer) => `m.transformer_blocks.${layer}`),
  streams: ['image'],
  attention: () => 'attn1',
  feedForward: () => 'ff',
  channels: 48,
  latent,
  grid,
  imageFirst: false,
  timestep: (rows) => integers(Array.from({ length: rows }, () => 500)),
  conditioning: (rows) => ({ class: integers(Array.from({ length: rows }, (_, row) => (3 * row + 1) % 10)) }),
  negative: (rows) => ({ class: integers(Array.from({ length: rows }, () => 10)) }),
  scheduler: {
    class: 'DDIMScheduler',
    config: { clip_sample: false, timestep_spacing: 'trailing' },
  },
};

export const sd3: Subject = {
  name: 'sd3',
  layers: [0, 1, 2, 3].map((layer) => `m.transformer_blocks.${layer}`),
  streams: ['image', 'text'],
  attention: () => 'attn',
  feedForward: () => 'ff',
  channels: 48,
  latent,
  grid,
  imageFirst: true,
  timestep: (rows) => floats(Array.from({ length: rows }, () => 500)),
  conditioning: (rows) => ({ text: text(rows, 11), pooled: pooled(rows, 12) }),
  negative: (rows) => ({ text: text(rows, 21), pooled: pooled(rows, 22) }),
  scheduler: { class: 'FlowMatchEulerDiscreteScheduler', config: { shift: 3 }, timestepScale: 1000 },
};

export const flux: Subject = {
  name: 'flux',
  layers: [
    ...[0, 1].map((layer) => `m.transformer_blocks.${layer}`),
    ...[0, 1, 2].map((layer) => `m.single_transformer_blocks.${layer}`),
  ],
  streams: ['image', 'text'],
  attention: () => 'attn',
  feedForward: (layer) => (layer < 2 ? 'ff' : 'proj_mlp'),
  channels: 48,
  latent,
  grid,
  imageFirst: false,
  timestep: (rows) => floats(Array.from({ length: rows }, () => 0.5)),
  conditioning: (rows) => ({
    text: text(rows, 31),
    pooled: pooled(rows, 32),
    image_ids: positions,
    text_ids: floats(new Array<number>(18).fill(0), [6, 3]),
    guidance: floats(Array.from({ length: rows }, () => 3.5)),
  }),
  negative: (rows) => ({ text: text(rows, 41), pooled: pooled(rows, 42) }),
  scheduler: { class: 'FlowMatchEulerDiscreteScheduler', config: { shift: 3 }, timestepScale: 1 },
};

/** The bundle that comes with the package; its reference is the eager model with the weights in it. */
export const embedded: Subject = {
  name: 'embedded',
  layers: [0, 1, 2, 3, 4, 5, 6, 7].map((layer) => `blocks.${layer}`),
  streams: ['image'],
  attention: () => 'attention',
  feedForward: () => 'mlp',
  channels: 128,
  latent: [1, 28, 28],
  grid: [7, 7],
  imageFirst: false,
  timestep: (rows) => floats(Array.from({ length: rows }, (_, row) => 0.9 - 0.4 * row)),
  conditioning: (rows) => ({ class: integers(Array.from({ length: rows }, (_, row) => (3 * row + 1) % 10)) }),
  negative: (rows) => ({ class: integers(Array.from({ length: rows }, () => 10)) }),
  scheduler: { class: 'FlowMatchEulerDiscreteScheduler', trailing: true, timestepScale: 1 },
};

export const subjects: Subject[] = [dit, sd3, flux];

/** Inputs of one evaluation. */
export function inputsOf(subject: Subject, rows: number): Record<string, Tensor> {
  return {
    sample: noise([rows, ...subject.latent], 3),
    timestep: subject.timestep(rows),
    ...subject.conditioning(rows),
  };
}
