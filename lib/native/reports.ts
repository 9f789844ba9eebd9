/** What the addon says of itself: how a run was executed, what was fused and quantised, memory, rights given up. */

/** A kind of chain of operators that can run as one; docs/performance.md says what each is. */
export type FusionKind = 'modulation' | 'residual' | 'rotary' | 'gelu' | 'swiglu' | 'attention' | 'pack' | 'update';

/** See native/core/graph/fusion.h. */
export const fusionKinds = [
  'modulation',
  'residual',
  'rotary',
  'gelu',
  'swiglu',
  'attention',
  'pack',
  'update',
] as const satisfies readonly FusionKind[];

/** What branches shared in a run: see docs/hooks.md, partial forward. */
export interface PartialForwardReport {
  /** Whether branches shared what comes before their first edit. */
  shared: boolean;
  /** Submodules at which the model was cut for that. */
  cuts: string[];
  /** Why it was not cut where it could have been; null: nothing stood in the way. */
  reason: string | null;
}

/** Device graphs (CUDA) in a run. */
export interface GraphReport {
  /** Evaluations of a step that were captured as a graph. */
  captured: number;
  /** Evaluations of a step that were replays of one. */
  replayed: number;
  /** Why one was not captured; null: nothing stood in the way, or the device has no graphs. */
  reason: string | null;
}

/** Chains of operators of one kind that run as one. */
export interface FusedChains {
  /** Which chains; docs/performance.md says what each is. */
  kind: FusionKind;
  /** How many there are in the model. */
  count: number;
}

/** What weights are rounded to: whole numbers, or floating ones of four bits for the exponent and three behind the point. */
export type WeightFormat = 'int8' | 'fp8';

/** See native/core/operators/quantised_weight.h. */
export const weightFormats = ['int8', 'fp8'] as const satisfies readonly WeightFormat[];

/** What shares a scale of the activations: the channels of a token, or all tokens of a picture; 'none': they have none. */
export type ActivationScope = 'per-token' | 'per-tensor' | 'none';

/** See native/core/operators/quantised_weight.h. */
export const activationScopes = ['per-token', 'per-tensor', 'none'] as const satisfies readonly ActivationScope[];

/** A linear layer with 8 bit weights. */
export interface QuantizedLayer {
  /** Of the submodule. */
  path: string;
  /** Channels that it reads. */
  inputs: number;
  /** Channels that it gives. */
  outputs: number;
  /** Input channels that are added in float32. */
  channels: number[];
  /** Its input channels are divided by numbers that its weights were multiplied by. */
  smoothed: boolean;
}

/** What was quantised. */
export interface QuantizationReport {
  /** What weights were rounded to. */
  weights: WeightFormat;
  /** What shares a scale of the activations. */
  activations: ActivationScope;
  /** What multiplies: the package's own product, libtorch's of 8 bit matrices, or `dtype`'s of weights brought back to it. */
  product: 'vnni' | 'int_mm' | 'scaled_mm' | 'dequantised';
  /** In order of evaluation. */
  layers: QuantizedLayer[];
  /** Layers that `keep` named. */
  kept: string[];
}

/** Blocks whose weights waited in host memory. */
export interface OffloadReport {
  /** Blocks that have weights of their own. */
  blocks: number;
  /** Bytes of their weights. */
  bytes: number;
  /** The most bytes of them that were on the device at the same time since the model was loaded: two blocks'. */
  resident: number;
  /** Bytes that were copied to the device in this run. */
  brought: number;
}

/** How a run was executed: what it found, at its end. */
export interface Execution {
  /** What branches shared. */
  partialForward: PartialForwardReport;
  /** What was replayed from device graphs. */
  graphs: GraphReport;
  /** Chains of operators that ran as one. */
  fused: FusedChains[];
  /** Which fused chains were found and are not used, and why; null: all that were found are. */
  notFused: string | null;
  /** Linear layers with 8 bit weights, and how they are computed; null: none were asked for. */
  quantized: QuantizationReport | null;
  /** Blocks whose weights waited in host memory; null: `offload` was not asked for. */
  offload: OffloadReport | null;
}

/** Memory of a device, in bytes. */
export interface MemoryStatistics {
  /** In tensors. */
  allocated: number;
  /** Taken from the device: tensors, and what is kept for the next ones. */
  reserved: number;
  /** The most there was since the process began, or `resetPeakMemory`. */
  peakAllocated: number;
  /** The same of `reserved`. */
  peakReserved: number;
  /** On the device, whoever else uses it. */
  free: number;
  /** Of the device. */
  total: number;
}

/** What a confined process cannot do any more; see native/core/archive/confinement.h. */
export interface Confinement {
  /** Use more memory than that. */
  memory: boolean;
  /** Write, make or remove files. */
  files: boolean;
  /** Open sockets. */
  network: boolean;
  /** Start programs. */
  programs: boolean;
}
