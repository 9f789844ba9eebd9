/** The options of `loadPipeline`. */
import { z } from 'zod';

import { fusionKinds, type FusionKind } from '../native';
import { describedBy } from '../validation/describedBy';
import { quantizeSchema, type Quantize } from './quantizeOptions';
import { abortSignal, choice, either, flag, strictObject, finite } from '../validation/vocabulary';

/** Devices for single parts of a bundle, each as `device` takes it. */
export interface PartDevices {
  /** Of the text encoders. Default: `device`. */
  textEncoders?: string;
  /** Of the transformer, which is the pipeline's. Default: `device`. */
  transformer?: string;
  /** Of the VAE. Default: `device`. */
  vae?: string;
}

/** What `loadPipeline` takes. */
export interface LoadOptions {
  /** 'cpu', 'cuda' (the first one), 'cuda:N', or 'auto': the first CUDA device or the CPU. Default 'auto'. DEVICE_UNAVAILABLE. */
  device?: string;
  /** Other devices for single parts of the bundle. Default: `device` for all. */
  devices?: PartDevices;
  /** Load text encoders, transformer and VAE in turn in each call: only the largest has to fit. Default false: all are kept. */
  lowMemory?: boolean;
  /**
   * 'blocks': the weights of the transformer's blocks wait in host memory (pinned, for CUDA) and are brought to the device
   * in turn, the next block's while one is computed: those of two are there at any time (docs/performance.md). Everything
   * else stays on the device, and the pictures are the same, byte for byte. CUDA graphs are not captured.
   * `execution.offload` of a run says what was brought. Default: all weights are on the device. BAD_OPTION for a model
   * whose blocks have no weights of their own.
   */
  offload?: 'blocks';
  /** Refuse a bundle that does not fit into the memory there is, before it is read. Default true. BUNDLE_TOO_LARGE. */
  checkMemory?: boolean;
  /**
   * Dtype of weights and activations; the guidance sum and the sampler's state are float32 in any case. 'auto' is bfloat16
   * where the device is faster in it and the bundle says that pictures stay within 40 dB PSNR of float32's; where it says
   * nothing, the 16 bit dtype that the weights are stored in (float16 on CUDA alone); else float32. `pipeline.dtypeReason`
   * says which and why. Default 'float32'.
   */
  dtype?: 'auto' | 'float32' | 'bfloat16' | 'float16';
  /** Load what uses operators off the allow list, else OPERATOR_REFUSED: only if you trust the file's maker. Default false. */
  allowAllOperators?: boolean;
  /** Seconds after which a loop in the first evaluation is taken for endless: MODEL_FAILED. From 1 to 86 400. Default 600. */
  firstEvaluationLimit?: number;
  /**
   * Chains of operators that run as one (docs/performance.md): `true` those that gain something on the device, `false`
   * none, or some by name. What is fused is compared with the unfused model before the first result. Default true.
   */
  fuse?: boolean | FusionKind[];
  /**
   * 8 bit weights and activations in the linear layers of the blocks; embeddings, modulation, norms and the last layer stay
   * in `dtype` (docs/quantisation.md). 'int8' and 'fp8' round both, `{ activations: 'none' }` the weights alone. The
   * bundle's massive channels are added in float32. `execution.quantized` of a run says what was done. Default: none.
   * PRECISION_UNAVAILABLE where device or processor cannot: never another precision in its place.
   */
  quantize?: Quantize;
  /** Ends the loading; the call then rejects with an AbortError. */
  signal?: AbortSignal;
}

const deviceForm = "'auto', 'cpu', 'cuda' or 'cuda:N'";

export const deviceName = z.string({ error: deviceForm }).regex(/^(auto|cpu|cuda(:\d{1,3})?)$/, deviceForm);

export const loadSchema = describedBy<LoadOptions>()(
  strictObject({
    device: deviceName.default('auto'),
    devices: strictObject({
      textEncoders: deviceName.optional(),
      transformer: deviceName.optional(),
      vae: deviceName.optional(),
    }).default({}),
    lowMemory: flag().default(false),
    offload: choice(['blocks']).optional(),
    checkMemory: flag().default(true),
    dtype: choice(['auto', 'float32', 'bfloat16', 'float16']).default('float32'),
    allowAllOperators: flag().default(false),
    firstEvaluationLimit: finite(1, 86_400).default(600),
    fuse: either([flag(), z.array(choice(fusionKinds))], 'true, false, or a list of kinds of chains').default(true),
    quantize: quantizeSchema.optional(),
    signal: abortSignal().optional(),
  }),
);
