/** Places in a model, and what is done to the hidden states there. */
import type { Tensor } from './tensor';

/** Where on a submodule: what it is given, what it returns; inside an attention its queries, its values, its result. */
export type Tap = 'input' | 'output' | 'query' | 'value' | 'attention';

/** A place where a hidden state passes, and can be captured or edited. */
export interface Site {
  /** Path of the submodule, `blocks.3`. */
  path: string;
  /** Where on it. */
  tap: Tap;
  /** Stream of a block with several, as the bundle names it; null elsewhere. */
  stream: string | null;
  /** Which argument, tuple element or attention of the module. */
  element: number;
  /** Layer index of a block's own output, 0-based; null elsewhere. */
  block: number | null;
  /** TorchScript class of the submodule. */
  className: string;
}

/** One disruption: what happens at the sites that match `path` when a branch that lists it runs. */
export interface PlanEdit {
  /** Path pattern of submodules. */
  path: string;
  /** Where on them. */
  tap: Tap;
  /** null: every stream of the site. */
  stream: string | null;
  /** What is done. */
  operation: 'retain' | 'mean' | 'affine' | 'transplant' | 'skip' | 'shuffle' | 'identity' | 'blur' | 'match';
  /** null: all. */
  channels: number[] | null;
  /** null: all. */
  tokens: number[] | null;
  /** The edit sees the last so many tokens alone: the image's, where the text's stand before them. Default: all. */
  lastTokens?: number;
  /** retain: ρ_t, one per step, or one for all. Zeroing is 0. */
  retention?: number[];
  /** affine: γ and β, one per chosen channel. */
  scale?: number[];
  /** affine: β, one per chosen channel. */
  shift?: number[];
  /** transplant: [1 or rows, tokens, channels]. */
  source?: Tensor;
  /** match: the chosen channels move by as much (‖Δz‖₂ of each token) as zeroing these would. */
  reference?: number[];
  /** blur: in tokens, Infinity is the mean; over the grid's tokens: those of `tokens` if they are as many, else the last. */
  sigma?: number;
  /** blur: rows and columns of the token grid. */
  grid?: [number, number];
  /** shuffle; another permutation at every step. */
  seed?: number;
}

/** Captures what arrives at the sites that match, then applies the edits to all rows. */
export interface NativeHook {
  path: string;
  tap: Tap;
  stream: string | null;
  capture: boolean;
  edits: PlanEdit[];
}
