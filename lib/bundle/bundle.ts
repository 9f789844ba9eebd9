/** A bundle as its user sees it: what `bundle.json`, format 1, says of the model. */
import type { SchedulerOptions } from '../schedule';
import type { OfKind } from '../validation/ofKind';

/** A file of the bundle. */
export interface BundleFile {
  /** SHA-256 of the file, 64 lower-case hexadecimal digits. */
  sha256: string;
  /** Size of the file in bytes. */
  bytes: number;
}

/** What an input of the transformer is for. */
export type InputRole =
  'latent' | 'timestep' | 'class' | 'text' | 'pooled' | 'guidance' | 'position_ids' | 'mask' | 'size';

/** An argument of the transformer's forward(). */
export interface BundleInput {
  /** Name of the argument. */
  name: string;
  /** What it is for. */
  role: InputRole;
  /** `float` is the dtype that the model is loaded in. */
  dtype: 'float' | 'float32' | 'float16' | 'bfloat16' | 'float64' | 'int64' | 'int32' | 'uint8' | 'bool';
  /** Sizes; the first one is `batch` for an input with a row an image; a name stands for a size that is free. */
  shape: (number | string)[];
}

/** Blocks of the transformer, one after the other. */
export interface BlockList {
  /** Path of the container, `transformer_blocks`. */
  path: string;
  /** Streams of hidden states that a block gives, in its order: `image`, `text`. */
  streams: string[];
}

/** Dtypes of weights on disk. */
export type WeightDtype = 'float32' | 'float16' | 'bfloat16' | 'float64';

/** A TorchScript file with weights. */
export interface BundleComponent {
  /** Path inside the folder. */
  file: string;
  /** Dtype of the weights on disk. */
  dtype: WeightDtype;
}

/** The transformer of a bundle. */
export interface BundleTransformer extends BundleComponent {
  /** In the order of `forward()`. */
  inputs: BundleInput[];
  /** Block containers in order of evaluation; a block's layer index is counted through all of them from 0. */
  blocks: BlockList[];
  /** Channels of the prediction; a model that also predicts a variance has more, after these. */
  outputChannels: number;
  /** What the model predicts: flow (noise − x0), epsilon, v or sample (x0). */
  prediction: 'flow' | 'epsilon' | 'v' | 'sample';
  /** Tokens of the image stream at the default size: [rows, columns]; a token is latent.height / rows cells high. */
  tokenGrid: [rows: number, columns: number];
  /** Order of the tokens in attention that image and text take part in: SD3's is image-first. Absent: text-first. */
  jointAttention?: 'text-first' | 'image-first';
  /** Width of the residual stream. */
  hiddenChannels: number;
}

/** Conditioned by a class. */
export interface ClassConditioning extends OfKind<'class'> {
  /** Classes, from 0. */
  numClasses: number;
  /** Index of the unconditional class, numClasses at most. Without one, classifier-free guidance is refused. */
  nullClass?: number;
  /** Names of the classes. */
  labels?: string[];
}

/** Every input that is neither latent nor timestep is given by the caller as a tensor. */
export type TensorConditioning = OfKind<'tensors'>;

/** Tokens of a prompt. */
export interface SequenceLength {
  /** When the call does not say. */
  default: number;
  /** At most. */
  maximum: number;
}

/** Conditioned by a prompt. */
export interface TextConditioning extends OfKind<'text'> {
  /** Tokens of the encoders whose tokenizer has no length of its own. */
  maxSequenceLength?: SequenceLength;
}

/** One image's latent at the default size, in cells. */
export interface BundleLatent {
  /** Channels of a cell. */
  channels: number;
  /** Cells from top to bottom. */
  height: number;
  /** Cells from left to right. */
  width: number;
  /** Latent frames, for video. */
  frames?: number;
  /** Cells at most, where there is a most. */
  maxHeight?: number;
  /** Cells at most, where there is a most. */
  maxWidth?: number;
}

/** How latents and pixels become each other. */
export interface BundleVae {
  /** Pixels along one side of a latent cell. */
  scale: number;
}

/** The latent is the picture. */
export interface PixelImage extends OfKind<'pixels'> {
  /** Latent values of black and white. */
  range: [black: number, white: number];
  /** 1 grey, 3 RGB. */
  channels: 1 | 3;
}

/** A VAE makes the picture of the latent. */
export interface VaeImage extends OfKind<'vae'> {
  /** What its decoder gives for black and white. */
  range: [black: number, white: number];
  /** RGB. */
  channels: 3;
}

/** Judges pictures in evaluations; any further keys are notes. */
export interface BundleClassifier {
  /** TorchScript: pictures [N, C, H, W] → scores of the classes of `conditioning`. */
  file: string;
  /** TorchScript: the same pictures → feature vectors [N, width], for distances between distributions. */
  features?: string;
  /** Values of black and white that both take. Default: those of `image`. */
  range?: [black: number, white: number];
  /** Height and width that both take. Default: those of the pictures. */
  size?: [height: number, width: number];
  [note: string]: unknown;
}

/** What is known about the model's massive activations. */
export interface RecordedMassiveActivations {
  /** Stream of the block that they are in. */
  stream: string;
  /** Layer whose output is disrupted by default. */
  layer: number;
  /** Channels of the hidden state, the strongest first. */
  channels: number[];
  /** The rule that chose them, in words. */
  rule?: string;
  /** `measured`, or the publication that names them. */
  source?: string;
  /** File with the measurements they were chosen from. */
  statistics?: string;
}

/** What `generate` does when it is not told. */
export interface BundleDefaults {
  /** Steps. */
  numInferenceSteps?: number;
  /** Guidance when `generate` is given none; checked by the schema of `generate` when it is used. */
  guidance?: Record<string, unknown>;
  /** Frames a second of a video, 0.1 to 240. Default 24. */
  frameRate?: number;
}

/** What `bundle.json` says of a model to who uses it; docs/bundle.md has the rest. */
export interface BundleDescription {
  /** Of the file. */
  format: 1;
  /** What the model is called. */
  name: string;
  /** Architecture: dit, sd3, flux, pixart… For people; the library reads the rest. */
  family: string;
  /** Of the weights. */
  licence: string;
  /** For people. */
  description?: string;
  /** Every file that the bundle uses, by its path inside the folder. */
  files: Record<string, BundleFile>;
  /** The model itself. */
  transformer: BundleTransformer;
  /** One image's latent at the default size. */
  latent: BundleLatent;
  /** What the model is conditioned on. */
  conditioning: ClassConditioning | TensorConditioning | TextConditioning;
  /** The sampler by default. */
  scheduler: SchedulerOptions;
  /** What becomes of the latent. */
  image: PixelImage | VaeImage;
  /** The VAE, for `image.kind` 'vae'. */
  vae?: BundleVae;
  /** Judges pictures in evaluations. */
  classifier?: BundleClassifier;
  /** Channels that Detail Guidance disrupts by default. */
  massiveActivations?: RecordedMassiveActivations;
  /** What `generate` does when it is not told. */
  defaults?: BundleDefaults;
}

/** An open bundle. */
export interface Bundle extends BundleDescription {
  /** Absolute path of the bundle's folder. */
  readonly folder: string;
  /** For each layer, its channels by measured strength, the strongest first; null where the bundle does not say. */
  readonly ranking: ReadonlyMap<number, readonly number[]> | null;
  /** Absolute path of one of the bundle's files. */
  path(file: string): string;
  /** What is in one of the bundle's files, compared with its checksum: BUNDLE_NOT_FOUND, BUNDLE_INVALID, BUNDLE_CHECKSUM. */
  read(file: string): Promise<Uint8Array>;
}
