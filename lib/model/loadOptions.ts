/** The options of `loadPipeline`. */
import { z } from 'zod';

import { fusionKinds } from '../native';

import { abortSignal, choice, either, flag, strictObject } from '../validation/vocabulary';

const deviceName = z
  .string({ error: "'auto', 'cpu', 'cuda' or 'cuda:N'" })
  .regex(/^(auto|cpu|cuda(:\d{1,3})?)$/, "'auto', 'cpu', 'cuda' or 'cuda:N'");

export const loadSchema = strictObject({
  /** `auto` takes the first CUDA device there is, else the CPU. Default auto. */
  device: deviceName.default('auto'),
  /** Other devices for single parts of the bundle. Default: `device` for all. */
  devices: strictObject({
    textEncoders: deviceName.optional(),
    transformer: deviceName.optional(),
    vae: deviceName.optional(),
  }).default({}),
  /**
   * Load the text encoders, the transformer and the VAE one after the other in each call and free each after its use,
   * so that only the largest has to fit. Default false: all are kept.
   */
  lowMemory: flag().default(false),
  /** Refuse a bundle that does not fit into the memory there is, before it is read. Default true. */
  checkMemory: flag().default(true),
  /**
   * Dtype of weights and activations; the guidance sum and the sampler's state are float32 in any case. `auto` is
   * bfloat16 where the device computes in it and the bundle says that pictures stay within 40 dB PSNR of float32's; where
   * it says nothing, the 16 bit dtype that the weights are stored in (float16 on CUDA alone); else float32.
   * `pipeline.dtypeReason` says which and why. Default float32.
   */
  dtype: choice(['auto', 'float32', 'bfloat16', 'float16']).default('float32'),
  /** Load a model whose graph uses operators outside the allow list. A TorchScript file is a program. Default false. */
  allowAllOperators: flag().default(false),
  /**
   * Chains of operators that run as one (docs/performance.md): `true` those that gain something on the device, `false`
   * none, or some by name. What is fused is compared with the unfused model before the first result. Default true.
   */
  fuse: either([flag(), z.array(choice(fusionKinds))], 'true, false, or a list of kinds of chains').default(true),
  /** Aborts the loading. */
  signal: abortSignal().optional(),
});

/** What `loadPipeline` takes. */
export type LoadOptions = z.input<typeof loadSchema>;
