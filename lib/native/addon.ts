/** The addon's functions, and what they load. */
import type { NativeHook, Site, Tap } from './edits';
import type { NativePlan, NativeProgress, NativeRecords } from './plan';
import type {
  ActivationScope,
  Confinement,
  Execution,
  FusedChains,
  FusionKind,
  MemoryStatistics,
  QuantizationReport,
  QuantizedLayer,
  WeightFormat,
} from './reports';
import type { Dtype, Tensor } from './tensor';

/**
 * How the CPU multiplies matrices of a dtype: by the addon's own loops, with AVX-512's instructions for float32 or for
 * bfloat16, or as libtorch does.
 */
export type ProductWay = 'avx512' | 'avx512_bf16' | 'libtorch';

export interface NativeInput {
  name: string;
  role: string;
  /** 'float': the dtype the model is loaded in. */
  dtype: Dtype | 'float';
  /** Its first axis is the batch. */
  batched: boolean;
}

export interface NativeLoadOptions {
  file: string;
  /** Which file was compared with its checksum (lib/bundle/sealed.ts): another one in its place is refused. */
  identity?: string;
  /** 'cpu' or 'cuda:N'. */
  device: string;
  dtype: 'float32' | 'float16' | 'bfloat16';
  inputs: NativeInput[];
  /** Block containers in order of evaluation; streams in the order in which TorchScript returns them. */
  blocks: { path: string; streams: string[] }[];
  /** The first channels of the model's output are the prediction; 0: all. */
  outputChannels: number;
  allowAllOperators: boolean;
  /** Seconds after which a loop in the model ends the first evaluation; by then it is taken for endless. Default 600. */
  firstEvaluationLimit?: number;
  /** Chains of operators that become one; absent: those that gain something on the device. */
  fuse?: FusionKind[];
  /** Absent: weights and activations stay in `dtype`. */
  quantise?: NativeQuantisation;
  /** Weights of the blocks wait in host memory; see native/core/device/block_offload.h. */
  offload?: 'blocks';
}

/** A layer whose weight was stored in 8 bits. */
export interface StoredLayer extends QuantizedLayer {
  /** float32, one an output channel. */
  scales: Tensor;
  /** float32 [kept channels, outputs]; absent where none is kept. */
  columns?: Tensor;
  /** float32, one an input channel. */
  smoothing?: Tensor;
}

/** How linear layers of the blocks are quantised; see native/core/graph/quantise.h. */
export interface NativeQuantisation {
  weights: WeightFormat;
  activations: ActivationScope;
  /** Of the hidden state. */
  channels: number[];
  /** In which they are. */
  stream: string;
  keep: string[];
  layers: { path: string; channels: number[]; smoothing?: Tensor; maxima?: Tensor }[];
  /** Layers whose weights in the file are the bits of 8 bit numbers, with what else is known of them. */
  stored: { path: string; channels: number[]; scales: Tensor; columns?: Tensor; smoothing?: Tensor }[];
}

/** The promise settles after the worker has unwound; a cancelled run rejects with code ABORT_ERR. */
export interface NativeRun<T> {
  promise: Promise<T>;
  cancel(): void;
}

/** What was loaded says of itself. */
interface Description {
  device: string;
  dtype: string;
  parameters: number;
  bytes: number;
}

/** A TorchScript file with its weights, on a thread of its own. */
interface Loaded<Says extends Description = Description> {
  describe(): Says;
  /** Cancels what runs, waits for it, frees the weights. Again is fine. */
  dispose(): Promise<void>;
}

/** How many weights a transformer has, and where; see native/core/model/weight_inventory.h. */
export interface NativeWeights {
  /** Floating numbers of each block: in linear layers that can be quantised, output channels of those, others. */
  blocks: { linear: number; outputs: number; others: number }[];
  /** Floating numbers outside of blocks. */
  others: number;
  /** Bytes of what is not floating. */
  integerBytes: number;
}

interface ModelDescription extends Description {
  blocks: number;
  weights: NativeWeights;
  sites: Site[];
  /** Chains of operators that run as one, and how many there are of each kind. */
  fused: FusedChains[];
  /** null: nothing was to be quantised. */
  quantized: QuantizationReport | null;
}

/** A transformer with its sites. */
export interface NativeModel extends Loaded<ModelDescription> {
  /** Per site, in their order: the shape there in a run on these inputs, or null. */
  shapes(inputs: Tensor[]): NativeRun<(number[] | null)[]>;
  forward(
    inputs: Tensor[],
    hooks: NativeHook[],
  ): NativeRun<{ output: Tensor; captures: (Site & { tensor: Tensor })[] }>;
  /** Indices of the sites that match. Sync. @throws SITE_NOT_FOUND with what is near */
  find(place: { path: string; tap?: Tap; stream?: string | null }): number[];
  /**
   * `onRecords` is called with what `plan.recording` asks for. The run waits while the last step, or too many records,
   * have not been read yet: `stepRead()` and `recordsRead()` say that the oldest has been. Neither function may throw.
   */
  sample(
    plan: NativePlan,
    onStep?: (progress: NativeProgress) => void,
    onRecords?: (records: NativeRecords) => void,
  ): NativeRun<{ latents: Tensor; execution: Execution; evaluations: number }> & {
    stepRead(): void;
    recordsRead(): void;
  };
}

/** Pictures as bytes, channels interleaved. */
export interface NativePictures {
  /** Of the tensor that they were made of. */
  shape: number[];
  /** Of a picture one; none where the tensor does not have the form that was asked for. */
  frames: Uint8Array[];
  /** One of the values is no number, or infinite. */
  overflowed: boolean;
}

/** Any other TorchScript file, as a function of tensors. */
export interface NativeComponent extends Loaded {
  /** Inputs in the order of forward(); the tensors of its result, flattened in order. */
  run(inputs: Tensor[]): NativeRun<Tensor[]>;
  /**
   * The same for one whose first result is pictures, [1, 3, height, width] or [1, 3, frames, height, width]: pixels, as
   * `toPixels` makes them. The first frame is written where JavaScript finds it; nothing of it is copied on its thread.
   */
  pictures(
    inputs: Tensor[],
    form: { height: number; width: number; black: number; white: number },
  ): NativeRun<NativePictures>;
}

export interface NativeAddon {
  /** `kernels`: what the CUDA kernels were compiled for, null where there are none. */
  info(): {
    libtorch: string;
    cudaLinked: boolean;
    kernels: string | null;
    cpuCapability: string;
    products: Record<'float32' | 'bfloat16', ProductWay>;
    threads: number;
  };
  cuda(): { available: boolean; devices: { name: string; memory: number }[]; reason: string | null };
  /** null for the CPU. */
  memory(device: string): Promise<MemoryStatistics | null>;
  /** Gives memory that is reserved but not in tensors back to the device. */
  emptyCache(device: string): Promise<void>;
  /** The peaks of `memory` count from now on. */
  resetPeakMemory(device: string): Promise<void>;
  /** float32, equal to torch.randn(shape, generator=torch.Generator().manual_seed(seed)). */
  gaussian(seed: bigint, shape: number[]): Tensor;
  /** Takes rights away from this thread and those it starts, for good: each says whether the system offers that. */
  confine(memoryBytes: number): Confinement;
  load(options: NativeLoadOptions): NativeRun<NativeModel>;
  /** Writes the archive to `out` with 8 bit weights where `options.quantise` says; what else there is to know of them. */
  storeQuantised(options: NativeLoadOptions, out: string): NativeRun<StoredLayer[]>;
  /** Any TorchScript file as a function of tensors; audited as a model is. */
  loadComponent(
    options: Pick<
      NativeLoadOptions,
      'file' | 'identity' | 'device' | 'dtype' | 'allowAllOperators' | 'firstEvaluationLimit'
    >,
  ): NativeRun<NativeComponent>;
}
