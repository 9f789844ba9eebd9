/**
 * Guidance is data. Every technique here adds terms to one sum,
 *
 *   D̂ = D(c) + Σ_i w_i(t) · (D_{p_i} − D_{n_i}),
 *
 * where p and n are branches: the model under a conditioning, with edits to its hidden states. The planner adds the
 * terms up to one weight a branch and step; they sum to one in every step by construction.
 */
import type { PlanEdit } from '../native';

/** Which of the two conditionings a branch runs under. */
export type Conditioning = 'conditional' | 'unconditional';

/** One evaluation of the model: a conditioning and the edits made while it runs. */
export interface Branch {
  /** What the branch is called in `plan.explain()`. Branches that differ in name only are one. */
  name: string;
  conditioning: Conditioning;
  edits: PlanEdit[];
}

/** Reuse while the first input of the submodule at `path` has changed by less than `threshold` (relative L1, summed). */
export interface AdaptiveReuse {
  /** The submodule whose first input is measured. */
  path: string;
  /** Relative L1 change, summed since the branch was computed. */
  threshold: number;
}

/** w(t) · (D_positive − D_negative). */
export interface GuidanceTerm {
  /** The option that asked for it. */
  technique: string;
  positive: Branch;
  negative: Branch;
  /** w for each evaluation of the schedule; 0 where the technique is switched off. */
  weights: number[];
  /** Evaluations in which the difference D_positive − D_negative of an earlier one stands in. Default: none. */
  reuse?: boolean[];
  /** Lets it stand in while a hidden state changes by less than a threshold. Default: not. */
  adaptiveReuse?: AdaptiveReuse;
}

/**
 * What is not linear in the branches. `project` and `apg` change D_u before the weighted sum, `rescale` and `zero`
 * change the sum; each only in the evaluations where `active`.
 */
export type Adjustment =
  /** D_u := (⟨D_c, D_u⟩ / ‖D_u‖²) · D_u */
  | { kind: 'project'; branch: Branch; reference: Branch; active: boolean[] }
  /** D_u := D_c − (Δ⊥ + η Δ∥), Δ = D_c − D_u with momentum and a limited norm */
  | {
      kind: 'apg';
      branch: Branch;
      reference: Branch;
      active: boolean[];
      eta: number;
      normThreshold: number;
      momentum: number;
    }
  /** D := φ · D · std(D_c) / std(D) + (1 − φ) · D */
  | { kind: 'rescale'; reference: Branch; active: boolean[]; factor: number }
  /** D := 0 */
  | { kind: 'zero'; active: boolean[] };

/** What one technique adds to the plan. */
export interface Contribution {
  terms: GuidanceTerm[];
  /** Branches that take the place of D(c) at the start of the sum. */
  branches?: { branch: Branch; weights: number[] }[];
  /** In the order in which they are applied. */
  adjustments?: Adjustment[];
}

/** One evaluation of the schedule, as far as a technique may look. */
export interface Evaluation {
  /** Index of the inference step it belongs to. */
  step: number;
  /** Start of the inference step it belongs to, as a fraction of all steps: i / n. */
  fraction: number;
  /** Position between data (0) and noise (1). */
  time: number;
}

/** What is known about the model where an edit is resolved. */
export interface EditContext {
  /** Of the schedule; null for a single run of the model. */
  evaluations: readonly Evaluation[] | null;
  /** Number of blocks; layers are 0-based. */
  layers: number;
  /** Width of the residual stream. */
  hiddenChannels: number;
  /** Image tokens, [rows, columns]. */
  tokenGrid: readonly [number, number];
  /** Order of the tokens in attention that image and text take part in; null for a model without a text stream. */
  jointAttention: 'text-first' | 'image-first' | null;
  /** The bundle's record of its massive activations, if it has one. */
  massiveActivations: { stream: string; layer: number; channels: readonly number[] } | null;
  /**
   * The output of a block in one stream.
   *
   * @throws LAYER_OUT_OF_RANGE, SITE_NOT_FOUND
   */
  output(option: string, layer: number, stream: string): SiteReference;
  /** @throws SITE_NOT_FOUND for a path, tap or stream that the model has not */
  checkSite(option: string, site: SiteReference): void;
  /** Whether a path pattern stands for nothing but blocks. */
  isBlock(path: string): boolean;
  /** The outputs of a block in all its streams. @throws LAYER_OUT_OF_RANGE, SITE_NOT_FOUND */
  everyStream(option: string, layer: number): SiteReference[];
  /** The attentions inside a block. @throws LAYER_OUT_OF_RANGE; SITE_NOT_FOUND when none can be tapped */
  attentions(option: string, layer: number): SiteReference[];
}

/** What a technique knows about the model and the schedule. */
export interface GuidanceContext extends EditContext {
  evaluations: readonly Evaluation[];
  /** A layer's channels, the strongest first; null where they were not measured. */
  ranking(layer: number): readonly number[] | null;
}

export type SiteReference = Pick<PlanEdit, 'path' | 'tap' | 'stream'>;

/** D(c), the prediction that every technique starts from. */
export const conditional: Branch = { name: 'conditional', conditioning: 'conditional', edits: [] };

/** D(∅). */
export const unconditional: Branch = { name: 'unconditional', conditioning: 'unconditional', edits: [] };

/** D_m(c): the conditional prediction of an edited model. */
export function edited(name: string, edits: PlanEdit[]): Branch {
  return { name, conditioning: 'conditional', edits };
}
