/**
 * The seam to the native addon, and the only file that touches it. What crosses is plain data: the native side knows
 * branches, weights, edits and coefficients, and no guidance method, scheduler or option by name.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { packageRoot } from './files/packageRoot';
import type { Libtorch } from './files/libtorch';
import { setup } from './files/setup';
import { unpacked } from './files/unpacked';
import { DetailGuidanceError } from './validation/errors';
import type { OfKind } from './validation/ofKind';

/** Element types of tensors. */
export type Dtype = 'float32' | 'float16' | 'bfloat16' | 'float64' | 'int64' | 'int32' | 'uint8' | 'bool';

/** Row-major values. float16 and bfloat16 travel as the bits of a Uint16Array. */
export interface Tensor {
  /** The values; bool as 0 and 1. */
  data: Float32Array | Uint16Array | Float64Array | BigInt64Array | Int32Array | Uint8Array;
  /** Sizes, the slowest first. */
  shape: number[];
  /** What the values are. */
  dtype: Dtype;
}

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
}

/** A layer whose weight was stored as int8. */
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
  activations: 'per-token' | 'per-tensor';
  /** Of the hidden state. */
  channels: number[];
  /** In which they are. */
  stream: string;
  keep: string[];
  layers: { path: string; channels: number[]; smoothing?: Tensor; maxima?: Tensor }[];
  /** Layers whose weights in the file are int8, with what else is known of them. */
  stored: { path: string; channels: number[]; scales: Tensor; columns?: Tensor; smoothing?: Tensor }[];
}

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

/** A linear layer with 8 bit weights and activations. */
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
  /** In order of evaluation. */
  layers: QuantizedLayer[];
  /** Layers that `keep` named. */
  kept: string[];
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
  /** Linear layers with 8 bit weights and activations; null: none were asked for. */
  quantized: QuantizationReport | null;
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

/** D_u := (⟨D_c, D_u⟩ / ‖D_u‖²) · D_u, before the weighted sum. */
export interface ProjectAdjustment extends OfKind<'project'> {
  /** u, an index into the plan's branches. */
  branch: number;
  /** c, an index into the plan's branches. */
  reference: number;
}

/** D_u := D_c − (Δ⊥ + η Δ∥), Δ = D_c − D_u with momentum and a limited norm, before the weighted sum. */
export interface ApgAdjustment extends OfKind<'apg'> {
  /** u, an index into the plan's branches. */
  branch: number;
  /** c, an index into the plan's branches. */
  reference: number;
  /** η. */
  eta: number;
  /** The largest norm of Δ; 0: any. */
  normThreshold: number;
  /** Weight of the earlier Δ. */
  momentum: number;
}

/** D := φ · D · std(D_c) / std(D) + (1 − φ) · D, after the weighted sum. */
export interface RescaleAdjustment extends OfKind<'rescale'> {
  /** c, an index into the plan's branches. */
  reference: number;
  /** φ. */
  factor: number;
}

/** D := 0. */
export type ZeroAdjustment = OfKind<'zero'>;

/** What is not linear in the branches; see native/core/sampling/combine.h. */
export type PlanAdjustment = ProjectAdjustment | ApgAdjustment | RescaleAdjustment | ZeroAdjustment;

export interface NativeStep {
  /** As the model takes it. */
  timestep: number;
  /** The model is given inputScale · x. */
  inputScale: number;
  /** One per branch; a branch with weight 0 is not evaluated in this step. */
  weights: number[];
  /** Per image, per branch: where images differ; `weights` only says then which branches are evaluated. */
  imageWeights?: number[][];
  /** Per branch: 1 = its difference to its reference is that of the last step that evaluated it. */
  reuse?: number[];
  adjustments?: PlanAdjustment[];
  /** x' = sample · x + Σ outputs[k] · D of k steps ago + noise · ε, D = Σ_b weights[b] · D_b. */
  sample: number;
  outputs: number[];
  /** Default 0. ε is the next draw of each image's own generator, see `NativePlan.seeds`. */
  noise?: number;
  /** x0 = preview[0] · x + preview[1] · D. */
  preview: [number, number];
  /** Afterwards, outside the plan's mask, x' = keep[0] · image + keep[1] · noise. */
  keep?: [number, number];
}

export interface NativeBranch {
  /** For people, in errors. */
  name?: string;
  conditioning: number;
  edits: number[];
  /** The branch whose movement stands in for this one's in steps that reuse it. */
  reference?: number;
}

/** Which hidden states are looked at while the model runs, and what is made of them. */
export interface NativeRecording {
  /** Indices into `describe().sites`, branches of the plan and its steps (null: all). */
  sites: number[];
  branches: number[];
  steps: number[] | null;
  /** Statistics per channel, and percentiles of |z| besides. */
  channels: boolean;
  percentiles: number[];
  /** L2 norms of the tokens. */
  tokens: boolean;
  /** So many of the strongest values. */
  top: number;
  /** Attention mass, at attention taps. */
  attention: boolean;
  /** Whole hidden states in this dtype; null: none. */
  tensors: 'float32' | 'float16' | 'bfloat16' | null;
  /** As they arrive at a site that is edited, not as they leave it. */
  beforeEdits: boolean;
}

/** Records of one step for a group of images. */
export interface NativeRecords {
  step: number;
  timestep: number;
  /** First image of the group, and how many are in it. */
  image: number;
  images: number;
  /** Five numbers a record: site, branch, tokens, channels, and key tokens that attention mass is given for. */
  index: Int32Array;
  /** For each record, for each image: what native/core/recording/statistics.h says, then the attention mass as floats. */
  words: Int32Array;
  /** One for each record, [images, tokens, channels], where whole hidden states were asked for. */
  tensors: Tensor[];
}

export interface NativePlan {
  /** float32 [images, C, H, W]: the sampler's first state. */
  latents: Tensor;
  /** One an image, for steps with noise: its generator's first draw is the image's initial noise, the next are ε. */
  seeds?: number[];
  /** [conditioning][k], k over the inputs that are neither latent nor timestep; batched ones with images rows or 1. */
  conditionings: Tensor[][];
  edits: PlanEdit[];
  branches: NativeBranch[];
  steps: NativeStep[];
  /**
   * Reuse decided while sampling: `branch` is reused while the first input of the submodule at `path` (block 0's
   * modulated input) has moved by less than `threshold` (relative L1, summed) since the branch was evaluated.
   */
  adaptiveReuse?: { branch: number; path: string; threshold: number }[];
  recording?: NativeRecording;
  /** Partial forward: branches with the same conditioning share what comes before their first edit. */
  partialForward: boolean;
  /** Inpainting: mask [1, 1, H, W], 1 where the sampler's state stays; image and noise as latents. All float32. */
  inpainting?: { mask: Tensor; image: Tensor; noise: Tensor };
  /** Images per evaluation. */
  batchSize: number;
  preview: boolean;
}

export interface NativeProgress {
  /** Steps done, 1 … steps. */
  step: number;
  steps: number;
  /** First image of the group at work, and how many are in it. */
  image: number;
  images: number;
  timestep: number;
  /** x0 as predicted at this step, float32. */
  preview?: Tensor;
}

/** The promise settles after the worker has unwound; a cancelled run rejects with code ABORT_ERR. */
export interface NativeRun<T> {
  promise: Promise<T>;
  cancel(): void;
}

/** Captures what arrives at the sites that match, then applies the edits to all rows. */
export interface NativeHook {
  path: string;
  tap: Tap;
  stream: string | null;
  capture: boolean;
  edits: PlanEdit[];
}

export interface NativeModel {
  describe(): {
    device: string;
    dtype: string;
    parameters: number;
    bytes: number;
    blocks: number;
    sites: Site[];
    /** Chains of operators that run as one, and how many there are of each kind. */
    fused: FusedChains[];
    /** null: nothing was to be quantised. */
    quantized: QuantizationReport | null;
  };
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
  /** Cancels what runs, waits for it, frees the model. Again is fine. */
  dispose(): Promise<void>;
}

export interface NativeComponent {
  describe(): { device: string; dtype: string; parameters: number; bytes: number };
  /** Inputs in the order of forward(); the tensors of its result, flattened in order. */
  run(inputs: Tensor[]): NativeRun<Tensor[]>;
  /** Waits for what runs, frees the component. Again is fine. */
  dispose(): Promise<void>;
}

export interface NativeAddon {
  /** `kernels`: what the CUDA kernels were compiled for, null where there are none. */
  info(): { libtorch: string; cudaLinked: boolean; kernels: string | null; cpuCapability: string; threads: number };
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
  /** Writes the archive to `out` with int8 weights where `options.quantise` says; what else there is to know of them. */
  storeQuantised(options: NativeLoadOptions, out: string): NativeRun<StoredLayer[]>;
  /** Any TorchScript file as a function of tensors; audited as a model is. */
  loadComponent(options: {
    file: string;
    identity?: string;
    device: string;
    dtype: NativeLoadOptions['dtype'];
    allowAllOperators: boolean;
    firstEvaluationLimit?: number;
  }): NativeRun<NativeComponent>;
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

/** What the build wrote beside the addon. */
export interface BuildInfo {
  libtorchVersion: string;
  libtorchPath: string;
  libtorchLib: string;
  cuda: boolean;
  cudaReason: string | null;
  /** The kernels of native/cuda: for which architectures, and nvcc's version. */
  kernels: { architectures: string; nvcc: string } | null;
  kernelsReason: string | null;
  node: string;
  compiler: string;
  builtAt: string;
}

/** The addon's folder and what it was built for. @throws ADDON_NOT_BUILT */
export function readBuild(): { folder: string; info: BuildInfo } {
  const { HOW_TO_BUILD, findAddon } = setup('addon');
  const { folder, missing } = findAddon();
  if (folder === null) {
    throw new DetailGuidanceError(
      'ADDON_NOT_BUILT',
      `The native addon is not built (${missing} is missing): ${HOW_TO_BUILD}.`,
      { received: missing, expected: 'a built addon' },
    );
  }
  return { folder, info: JSON.parse(readFileSync(join(folder, 'build-info.json'), 'utf8')) as BuildInfo };
}

/**
 * The libtorch to run with: the one of the build, or where it has gone.
 *
 * @throws LIBTORCH_NOT_FOUND, LIBTORCH_MISMATCH
 */
export function findLibtorch(info: BuildInfo): Libtorch {
  const { besideApplication, inspect, describeCandidates, searchLibtorch, waysToLibtorch } = setup('libtorch');
  const fits = (candidate: { version: string; cuda: string | null } | null) =>
    candidate !== null &&
    minor(candidate.version) === minor(info.libtorchVersion) &&
    (!info.cuda || candidate.cuda !== null);
  const variable = process.env.LIBTORCH ?? process.env.LIBTORCH_LIB ?? besideApplication();
  if (!variable) {
    const { libtorch } = inspect(info.libtorchPath, { lib: info.libtorchLib, headers: false });
    if (libtorch && fits(libtorch)) return libtorch;
  }
  const { libtorch, candidates } = searchLibtorch({ headers: false });
  if (libtorch && fits(libtorch)) return libtorch;
  const built = `${minor(info.libtorchVersion)}${info.cuda ? ' with CUDA' : ''}`;
  if (libtorch) {
    const description = `${libtorch.version}${libtorch.cuda ? ' with CUDA' : ', a CPU build'}`;
    throw new DetailGuidanceError(
      'LIBTORCH_MISMATCH',
      `The addon was built for libtorch ${built}, and the one found is ${description} (${libtorch.path}): ` +
        `${setup('addon').HOW_TO_BUILD}, which builds it for that one, or set LIBTORCH to a ${built}.`,
      { received: description, expected: built },
    );
  }
  throw new DetailGuidanceError(
    'LIBTORCH_NOT_FOUND',
    [
      `libtorch ${built}, for which the addon was built, was not found.`,
      ...describeCandidates(candidates).map((line) => `  - ${line}`),
      ...waysToLibtorch().map((line, index) => `  ${index + 1}. ${line}`),
    ].join('\n'),
    { expected: built },
  );
}

/** 2.11 of 2.11.0: libtorch keeps its binary interface within a minor version. */
const minor = (version: string) => version.split('.').slice(0, 2).join('.');

function load(): NativeAddon {
  const { folder, info } = readBuild();
  const { lib: libraries } = findLibtorch(info);
  const { libraryFile } = setup('libtorch');
  const require = createRequire(join(packageRoot(), 'package.json'));
  const { preload } = require(unpacked(join(folder, 'preload.node'))) as { preload(paths: string[]): string | null };
  const failure = preload(
    ['c10', 'torch_cpu', 'c10_cuda', 'torch_cuda', 'torch']
      .map((name) => join(libraries, libraryFile(name)))
      .filter((file) => existsSync(file)),
  );
  if (failure !== null) throw notLoaded(libraries, failure);
  return require(unpacked(join(folder, 'detail_guidance.node'))) as NativeAddon;
}

/** What it means that the dynamic linker did not load libtorch. `failure` is what it said. */
export function notLoaded(libraries: string, failure: string): DetailGuidanceError {
  // Its words for mmap's ENOMEM; a limit of the address space is met here first.
  if (/cannot allocate memory|failed to map segment|cannot create shared object descriptor/i.test(failure)) {
    return new DetailGuidanceError(
      'OUT_OF_MEMORY',
      `libtorch in ${libraries} did not fit into the memory: ${failure}. It takes 1 GB of address space, with CUDA ` +
        "5 GB: raise the limit (ulimit -v, a container's), or end other programs. Where memory is plenty, its folder " +
        'may be mounted noexec.',
      { received: failure },
    );
  }
  return new DetailGuidanceError(
    'LIBTORCH_NOT_FOUND',
    `libtorch in ${libraries} can not be loaded: ${failure}. Its installation may be incomplete: ` +
      'install it again, or set LIBTORCH to another.',
    { received: failure },
  );
}

let addon: NativeAddon | undefined;

/**
 * The addon, loaded at the first call.
 *
 * @throws ADDON_NOT_BUILT, LIBTORCH_NOT_FOUND, LIBTORCH_MISMATCH, OUT_OF_MEMORY
 */
export function native(): NativeAddon {
  addon ??= load();
  return addon;
}
