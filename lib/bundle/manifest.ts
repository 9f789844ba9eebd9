/** `bundle.json`, format 1, as a program reads it: everything the library knows about a model beside its TorchScript file. */
import type { SchedulerOptions } from '../schedule';

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

/** Dtypes of weights on disk. */
export type WeightDtype = 'float32' | 'float16' | 'bfloat16' | 'float64';

/** A TorchScript file with weights, beside the transformer. */
export interface BundleComponent {
  /** Path inside the folder. */
  file: string;
  /** Dtype of the weights on disk. */
  dtype: WeightDtype;
}

/** Blocks of the transformer, one after the other. */
export interface BlockList {
  /** Path of the container, `transformer_blocks`. */
  path: string;
  /** Streams of hidden states that a block gives, in its order: `image`, `text`. */
  streams: string[];
}

/** Peak signal-to-noise ratio of pictures against float32's, in dB. */
export interface MeasuredPrecision {
  /** Of bfloat16. */
  bfloat16?: number;
  /** Of float16. */
  float16?: number;
}

/** A linear layer whose weight is stored as int8, one scale an output channel. */
export interface StoredLayerManifest {
  /** Path of the layer. */
  path: string;
  /** Channels that it reads. */
  inputs: number;
  /** Channels that it gives. */
  outputs: number;
  /** Input channels that are kept in float32. */
  channels: number[];
}

/** Linear layers that are stored in 8 bits; `detail-guidance quantize` writes them. */
export interface StoredQuantization {
  /** safetensors: `PATH.scales` [outputs], `PATH.columns` [kept channels, outputs] and `PATH.smoothing` [inputs] where there is some. */
  file: string;
  /** Of the weights. */
  weights: 'int8';
  /** What shares a scale of the activations. */
  activations: 'per-token' | 'per-tensor';
  /** The layers, in order of evaluation. */
  layers: StoredLayerManifest[];
}

/** The transformer of a bundle. */
export interface BundleTransformer extends BundleComponent {
  /** In the order of `forward()`. */
  inputs: BundleInput[];
  /** Block containers in order of evaluation; a block's layer index is counted through all of them from 0. */
  blocks: BlockList[];
  /** Channels of the prediction; a model that also predicts a variance has more, after these. */
  outputChannels: number;
  /**
   * Peak signal-to-noise ratio, in dB, of pictures made in a dtype against the same ones in float32, measured at export;
   * `dtype: 'auto'` goes by it.
   */
  psnr?: MeasuredPrecision;
  /** What the model predicts: flow (noise − x0), epsilon, v or sample (x0). */
  prediction: 'flow' | 'epsilon' | 'v' | 'sample';
  /** Tokens of the image stream at the default size: [rows, columns]; a token is latent.height / rows cells high. */
  tokenGrid: [rows: number, columns: number];
  /** Order of the tokens in attention that image and text take part in: SD3's is image-first. Absent: text-first. */
  jointAttention?: 'text-first' | 'image-first';
  /** Width of the residual stream. */
  hiddenChannels: number;
  /** Absent: all weights are stored in `dtype`. Such a bundle runs on a CPU with AVX-512 VNNI alone. */
  quantized?: StoredQuantization;
}

/** How a prompt becomes the tokens of one encoder. */
export interface TokenizerManifest {
  /** A `tokenizer.json` of the tokenizers library. */
  file: string;
  /**
   * What surrounds the text: `clip` start and end, `t5` the end alone. A text that is too long is cut so that they stay; a
   * shorter one is padded at its end.
   */
  kind: 'clip' | 't5';
  /** Tokens in all. Without it, as many as the call's `maxSequenceLength`. */
  maxLength?: number;
  /** Token that fills up. */
  padId: number;
  /** First token, for `clip`. */
  startId?: number;
  /** Last token. */
  endId: number;
  /**
   * What is done to the prompt first. `lower`: lower case, no white space at the ends (PixArt). `html`: HTML entities
   * undone twice, white space collapsed (Wan).
   */
  cleaning: 'none' | 'lower' | 'html';
}

/** A text encoder of a bundle. */
export interface TextEncoderManifest extends BundleComponent {
  /** Arguments of forward(), int64 [batch, tokens]. */
  inputs: ('ids' | 'mask')[];
  /** What it returns, in order: the wanted hidden state [batch, tokens, width], the pooled one [batch, pooledWidth]. */
  outputs: ('sequence' | 'pooled')[];
  /** Channels of the hidden state. */
  width?: number;
  /** Channels of the pooled one. */
  pooledWidth?: number;
  /** Rows of the token embedding. */
  vocabularySize: number;
  /** Its tokenizer. */
  tokenizer: TokenizerManifest;
}

/** Conditioned by a class. */
export interface ClassConditioning {
  /** Names the kind. */
  kind: 'class';
  /** Classes, from 0. */
  numClasses: number;
  /** Index of the unconditional class. Without one, classifier-free guidance is refused. */
  nullClass?: number;
  /** Names of the classes. */
  labels?: string[];
}

/** Every input that is neither latent nor timestep is given by the caller as a tensor. */
export interface TensorConditioning {
  /** Names the kind. */
  kind: 'tensors';
}

/** An encoder's output, or its attention mask. */
export interface EncodedExpression {
  /** The encoder, by its name in the bundle. */
  from: string;
  /** What of it. */
  output: 'sequence' | 'pooled' | 'mask';
  /** Rows of padding tokens become 0. */
  zeroPadding?: boolean;
}

/** One after the other. */
export interface JoinExpression {
  /** Along which axis. */
  join: 'tokens' | 'channels';
  /** What is joined. */
  of: Expression[];
  /** Channels are filled with zeros up to here. */
  padTo?: number;
}

/** Size of a tensor of zeros. */
export interface ZerosSize {
  /** Tokens, or as many as the call's `maxSequenceLength`. */
  tokens: number | 'maxSequenceLength';
  /** Channels of a token. */
  channels: number;
}

/** In place of an encoder that the checkpoint lacks. */
export interface ZerosExpression {
  /** Sizes. */
  zeros: ZerosSize;
}

/** Position ids, [rows × columns, axes]: (0, row, column), row by row. */
export interface GridExpression {
  /** Names the kind. */
  positions: 'grid';
  /** Numbers of a token. */
  axes: number;
}

/** Position ids, [tokens, axes]: zeros, for the tokens of another input. */
export interface ZeroPositionsExpression {
  /** Names the kind. */
  positions: 'zeros';
  /** Numbers of a token. */
  axes: number;
  /** The input whose tokens they are. */
  like: string;
}

/** Of the picture, in pixels: [height, width], or [height / width]. */
export interface SizeExpression {
  /** Which of them. */
  size: 'resolution' | 'aspect-ratio';
}

/** Position ids: the same for every image. */
export type PositionExpression = GridExpression | ZeroPositionsExpression;

/** A tensor made of what the encoders give, of the size of the picture, or of nothing. */
export type Expression = EncodedExpression | JoinExpression | ZerosExpression | PositionExpression | SizeExpression;

/** Tokens of a prompt. */
export interface SequenceLength {
  /** When the call does not say. */
  default: number;
  /** At most. */
  maximum: number;
}

/** Conditioned by a prompt. */
export interface TextConditioning {
  /** Names the kind. */
  kind: 'text';
  /** Tokens of the encoders whose tokenizer has no length of its own. */
  maxSequenceLength?: SequenceLength;
  /** For every input of the transformer that is neither latent, timestep nor guidance. */
  inputs: Record<string, Expression>;
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
export interface VaeManifest {
  /** Latents [batch, C, h, w] → pixels [batch, 3, h · scale, w · scale]; of video [batch, C, F, h, w] → [batch, 3, frames, …]. */
  decoder: BundleComponent;
  /** Pixels [batch, 3, H, W] in the range of the image → mean and log variance [batch, 2 C, h, w]. */
  encoder?: BundleComponent;
  /** Pixels along one side of a latent cell. */
  scale: number;
  /** The decoder is given z / scalingFactor + shiftFactor. */
  scalingFactor: number;
  /** See `scalingFactor`. */
  shiftFactor: number;
  /** In place of the two factors: the decoder is given z · std + mean, per channel. */
  mean?: number[];
  /** See `mean`. */
  std?: number[];
  /** Frames of a video for each latent frame after the first. */
  frameScale?: number;
  /** Side in pixels of the tiles in which large pictures are decoded; neighbours overlap by a quarter. */
  tileSize: number;
}

/** The latent is the picture. */
export interface PixelImage {
  /** Names the kind. */
  kind: 'pixels';
  /** Latent values of black and white. */
  range: [black: number, white: number];
  /** 1 grey, 3 RGB. */
  channels: 1 | 3;
}

/** A VAE makes the picture of the latent. */
export interface VaeImage {
  /** Names the kind. */
  kind: 'vae';
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
  /** Pictures a second, for video. */
  frameRate?: number;
}

/** The contents of `bundle.json`. */
export interface BundleManifest {
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
  /** By a name of the bundle's own. */
  textEncoders?: Record<string, TextEncoderManifest>;
  /** What the model is conditioned on. */
  conditioning: ClassConditioning | TensorConditioning | TextConditioning;
  /** The sampler by default. */
  scheduler: SchedulerOptions;
  /** What becomes of the latent. */
  image: PixelImage | VaeImage;
  /** The VAE, for `image.kind` 'vae'. */
  vae?: VaeManifest;
  /** Judges pictures in evaluations. */
  classifier?: BundleClassifier;
  /** Channels that Detail Guidance disrupts by default. */
  massiveActivations?: RecordedMassiveActivations;
  /** What `generate` does when it is not told. */
  defaults?: BundleDefaults;
}
