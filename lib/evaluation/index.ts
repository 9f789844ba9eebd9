/** `detail-guidance/evaluation`: pictures against reference pictures, and what an intervention changes. */
export type { Estimate } from './bootstrap';
export type { Comparison, Difference, FrechetDifference, FrechetDistance, SpectrumComparison } from './comparison';
export type { Band } from './fidelity';
export type { KernelDistance } from './kernelDistance';
export type { PrecisionRecall } from './precisionRecall';
export type { EvaluatedBundle, QuantizedRun, RunRecord } from './runRecord';
export { drawSheet } from './drawSheet';
export {
  evaluate,
  type EvaluationResult,
  type FeatureNetworkRecord,
  type ReferenceRecord,
  type SettingResult,
} from './evaluate';
export type { BandChange, Intervention, InterventionResult } from './interventionChange';
export type { InterventionOptions, InterventionSetting } from './interventionOptions';
export { drawLineChart, type ChartLine, type ChartPoint, type LineChart } from '../image/lineChart';
export type { Sheet, SheetColumn, SheetRow } from '../image/sheet';
export { runInterventions } from './interventions';
export { distanceNames, type DistanceNames } from './distanceNames';
export type { NetworkOptions, NetworkRecord } from './network';
export type {
  EvaluateOptions,
  EvaluationProgress,
  EvaluationSetting,
  KernelDistanceOptions,
  ManifoldOptions,
  PictureRequest,
  SampledPictureOptions,
} from './options';
export { openPictures } from './openPictures';
export type { PictureSet } from './pictureSet';
export { ringFrequencies } from './spectrum';
