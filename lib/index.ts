/** Detail Guidance for Diffusion Transformers. */
export type {
  ActivationRecord,
  ChannelStatistics,
  DumpSummary,
  QuantisationStatistics,
  RecordedSampling,
} from './activations';
export {
  classCorrespondence,
  disruptTokens,
  drawMap,
  extractFeatures,
  findHighNormTokens,
  findMassiveActivations,
  partCorrespondence,
  selectivity,
  spatialMap,
  traceGates,
  traceMagnitude,
  writeMassiveActivations,
  type AnalysisProgress,
  type Conditions,
  type FeatureOptions,
  type Features,
  type GateOptions,
  type GatesTrace,
  type GateTrace,
  type HighNormOptions,
  type HighNormToken,
  type HighNormTokens,
  type LayerEffect,
  type LayerFinding,
  type LayerMagnitude,
  type MagnitudeOptions,
  type MagnitudeTrace,
  type MapPicture,
  type MassiveActivations,
  type MassiveActivationsOptions,
  type MassiveChannel,
  type Selectivity,
  type SpatialMap,
} from './analysis';
export type { Bundle, BundleManifest } from './bundle';
export { Component, loadComponent, type ComponentOptions } from './component';
export { emptyCache, listDevices, memoryStatistics, resetPeakMemory, type Device } from './device';
export { AbortError, DetailGuidanceError, errorCodes, type ErrorCode } from './errors';
export {
  distanceNames,
  evaluate,
  openPictures,
  ringFrequencies,
  runInterventions,
  type EvaluateOptions,
  type EvaluationProgress,
  type EvaluationResult,
  type InterventionOptions,
  type InterventionResult,
} from './evaluation';
export { GuidanceBuilder, presetNames, type GuidanceInput, type GuidanceOptions, type PresetName } from './guidance';
export { readMetadata, readPlan, type PictureMetadata } from './metadata';
export type { FusionKind, MemoryStatistics, NativeEdit, NativeExecution, NativeHook, NativeSite } from './native';
export type { ActivationOptions, DumpOptions, QuantisationOptions } from './options/activations';
export type { ForwardOptions } from './options/forward';
export type { GenerateOptions } from './options/generate';
export type { LoadOptions } from './options/load';
export { loadPipeline, Pipeline, type ForwardResult } from './pipeline';
export type { ExplainedSteps, Plan, PlanAdjustment, PlanBranch, PlanExplanation, PlanStep } from './plan';
export type { PhaseEvent, StepEvent } from './progress';
export { GeneratedImage, type GenerateResult } from './result';
export type { SchedulerOptions } from './schedule';
export {
  decodeSafetensors,
  encodeSafetensors,
  fromFloat32,
  toFloat32,
  type Dtype,
  type Safetensors,
  type Tensor,
} from './tensor';
export type { Warning } from './text';
export type { Picture } from './vae';
