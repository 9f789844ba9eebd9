/**
 * Detail Guidance for Diffusion Transformers: inference. What looks inside a model is `detail-guidance/analysis`, what
 * judges its pictures `detail-guidance/evaluation`.
 */
export type {
  ActivationRecord,
  AttentionStatistics,
  ChannelPercentile,
  ChannelStatistics,
  DumpSummary,
  NonFiniteSummary,
  QuantisationStatistics,
  QuantisedSite,
  QuantisedStep,
  RecordedSampling,
  RecordPlace,
  Shard,
  StrongValue,
  TokenStatistics,
} from './activations';
export type {
  BlockList,
  Bundle,
  BundleClassifier,
  BundleComponent,
  BundleDefaults,
  BundleDescription,
  BundleFile,
  BundleInput,
  BundleLatent,
  BundleTransformer,
  BundleVae,
  ClassConditioning,
  InputRole,
  PixelImage,
  RecordedMassiveActivations,
  SequenceLength,
  TensorConditioning,
  TextConditioning,
  VaeImage,
  WeightDtype,
} from './bundle';
export { checkBundle, type BundleReport, type CheckedEvaluation, type CheckOptions, type CheckResult } from './check';
export { loadTorchScript, TorchScript, type TorchScriptOptions, type WeightSize } from './model/torchScript';
export { emptyCache, listDevices, memoryStatistics, resetPeakMemory, type Device } from './model/device';
export { AbortError, DetailGuidanceError, errorCodes, type ErrorCode, type ErrorDetails } from './validation/errors';
export {
  GuidanceBuilder,
  presetNames,
  type AdaptiveReuse,
  type AffineEdit,
  type ApgOptions,
  type BlurEdit,
  type BlurOptions,
  type BranchOptions,
  type CfgZeroStarOptions,
  type Channels,
  type ClassifierFreeOptions,
  type Conditioning,
  type Control,
  type DetailOptions,
  type DisruptionOptions,
  type DisruptOptions,
  type Edit,
  type Place,
  type EditTarget,
  type EmbeddedOptions,
  type GuidanceOptions,
  type GuidanceWindow,
  type IdentityEdit,
  type Layers,
  type MatchedChannels,
  type MatchEdit,
  type MeanEdit,
  type PagOptions,
  type PresetName,
  type RandomTokens,
  type RescaleOptions,
  type RetainEdit,
  type Retention,
  type RetentionCurve,
  type RetentionTable,
  type ReuseOptions,
  type S2Options,
  type SegOptions,
  type ShuffleEdit,
  type SkipEdit,
  type SlgOptions,
  type ThresholdReuse,
  type Tokens,
  type TpgOptions,
  type TransplantEdit,
  type ZeroEdit,
} from './guidance';
export {
  packLibtorch,
  type PackedLibrary,
  type PackedLibtorch,
  type PackOptions,
  type PackProgress,
} from './packaging';
export { readMetadata, readOptions, type BundleIdentity, type PictureMetadata } from './call/metadata';
export { encodePng, type PngPicture, type Raster } from './image/png';
export type {
  ActivationScope,
  ApgAdjustment,
  Confinement,
  Execution,
  FusedChains,
  FusionKind,
  GraphReport,
  MemoryStatistics,
  OffloadReport,
  PartialForwardReport,
  PlanAdjustment,
  PlanEdit,
  ProjectAdjustment,
  QuantizationReport,
  QuantizedLayer,
  RescaleAdjustment,
  Site,
  Tap,
  WeightFormat,
  ZeroAdjustment,
} from './native';
export type {
  ActivationOptions,
  DumpOptions,
  QuantisationOptions,
  RecordingOptions,
  StatisticsOptions,
} from './activations/options';
export type { ForwardOptions, Hook } from './request/forwardOptions';
export type { GenerateOptions } from './request/generateOptions';
export type { ExpectedMemory, ExpectedMemoryOptions } from './model/expectedMemory';
export type { LoadOptions, PartDevices } from './model/loadOptions';
export { quantizeBundle, type QuantizeBundleOptions, type QuantizeProgress } from './model/quantizeBundle';
export type { Quantize, QuantizedLayerOptions, QuantizeOptions } from './model/quantizeOptions';
export {
  loadPipeline,
  Pipeline,
  type Capture,
  type ExplainedPlan,
  type ForwardResult,
  type ModelSize,
} from './pipeline';
export type { ExplainedBranch, ExplainedSteps, Plan, PlanBranch, PlanExplanation, PlanStep } from './plan';
export type { PhaseEvent, StepEvent } from './request/stepEvent';
export type { DecodedPicture } from './call/decoding';
export { GeneratedImage, type GenerateResult, type PngOptions } from './call/result';
export type {
  BetaOptions,
  DdimOptions,
  DpmSolverOptions,
  FlowMatchEulerOptions,
  FlowMatchHeunOptions,
  FlowOptions,
  HeunOptions,
  MultistepOptions,
  SchedulerChanges,
  SchedulerOptions,
  UniPcOptions,
} from './schedule';
export {
  decodeSafetensors,
  encodeSafetensors,
  fromFloat32,
  toFloat32,
  type Dtype,
  type Safetensors,
  type Tensor,
} from './tensor';
export type { NegativePromptUnused, Warning } from './request/warning';
export type { OfKind, WarningOf } from './validation/ofKind';
export type { Seed } from './request/seeds';
export type { PromptTruncated } from './text';
export type { PictureSize } from './request/pictureSize';
export type { Picture, PictureTiled } from './vae';
