/** The rest of `bundle.json`, format 1: what the library needs to load the model and to run it. */
import type {
  BundleComponent,
  BundleDescription,
  BundleTransformer,
  BundleVae,
  ClassConditioning,
  TensorConditioning,
  TextConditioning,
} from './bundle';
import type { ActivationScope, WeightFormat } from '../native';

/** Peak signal-to-noise ratio of pictures against float32's, in dB. */
export interface MeasuredPrecision {
  /** Of bfloat16. */
  bfloat16?: number;
  /** Of float16. */
  float16?: number;
}

/** A linear layer whose weight is stored in 8 bits, one scale an output channel. */
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
  weights: WeightFormat;
  /** What shares a scale of the activations where `loadPipeline` is told nothing else. */
  activations: ActivationScope;
  /** The layers, in order of evaluation. */
  layers: StoredLayerManifest[];
}

/** The transformer of a bundle, and its file. */
export interface TransformerManifest extends BundleTransformer {
  /**
   * Peak signal-to-noise ratio, in dB, of pictures made in a dtype against the same ones in float32, measured at export;
   * `dtype: 'auto'` goes by it.
   */
  psnr?: MeasuredPrecision;
  /** Absent: all weights are stored in `dtype`. */
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

/** Conditioned by a prompt, and how it becomes tensors. */
export interface TextConditioningManifest extends TextConditioning {
  /** For every input of the transformer that is neither latent, timestep nor guidance. */
  inputs: Record<string, Expression>;
}

/** How latents and pixels become each other. */
export interface VaeManifest extends BundleVae {
  /** Latents [batch, C, h, w] → pixels [batch, 3, h · scale, w · scale]; of video [batch, C, F, h, w] → [batch, 3, frames, …]. */
  decoder: BundleComponent;
  /** Pixels [batch, 3, H, W] in the range of the image → mean and log variance [batch, 2 C, h, w]. */
  encoder?: BundleComponent;
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

/** The contents of `bundle.json`. */
export interface BundleManifest extends BundleDescription {
  /** The model itself. */
  transformer: TransformerManifest;
  /** By a name of the bundle's own. */
  textEncoders?: Record<string, TextEncoderManifest>;
  /** What the model is conditioned on. */
  conditioning: ClassConditioning | TensorConditioning | TextConditioningManifest;
  /** How latents and pixels become each other. */
  vae?: VaeManifest;
}
