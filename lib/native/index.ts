/**
 * The seam to the native addon. What crosses is plain data: the native side knows branches, weights, edits and
 * coefficients, and no guidance method, scheduler or option by name.
 */
export type {
  NativeAddon,
  NativeComponent,
  NativeInput,
  NativeLoadOptions,
  NativeModel,
  NativePictures,
  NativeQuantisation,
  NativeRun,
  NativeWeights,
  ProductWay,
  StoredLayer,
} from './addon';
export type { NativeHook, PlanEdit, Site, Tap } from './edits';
export { type BuildInfo, findLibtorch, native, notLoaded, readBuild, refusedByNode } from './load';
export type {
  ApgAdjustment,
  NativeBranch,
  NativePlan,
  NativeProgress,
  NativeRecording,
  NativeRecords,
  NativeStep,
  PlanAdjustment,
  ProjectAdjustment,
  RescaleAdjustment,
  ZeroAdjustment,
} from './plan';
export {
  type Confinement,
  type Execution,
  type FusedChains,
  type FusionKind,
  type GraphReport,
  type MemoryStatistics,
  type OffloadReport,
  type PartialForwardReport,
  type ActivationScope,
  type QuantizationReport,
  type QuantizedLayer,
  type WeightFormat,
  activationScopes,
  fusionKinds,
  weightFormats,
} from './reports';
export type { Dtype, Tensor } from './tensor';
