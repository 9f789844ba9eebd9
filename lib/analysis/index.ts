/** `detail-guidance/analysis`: massive activations, traces, maps and features of a model. */
export {
  classCorrespondence,
  partCorrespondence,
  type ClassCorrespondence,
  type PartCorrespondence,
} from './correspondence';
export type { Conditions } from './conditions';
export type { ActivationSource } from './source';
export type { TrajectoryOptions } from './trajectoryOptions';
export { extractFeatures, featureKinds, type FeatureOptions, type Features } from './features';
export { traceGates, type GateOptions, type GatesTrace, type GateTrace } from './gates';
export {
  disruptTokens,
  findHighNormTokens,
  type HighNormOptions,
  type HighNormToken,
  type HighNormTokens,
  type LayerNorms,
  type LongestNorm,
} from './highNormTokens';
export {
  traceMagnitude,
  type ExplainedVariance,
  type LayerMagnitude,
  type MagnitudeOptions,
  type MagnitudeTrace,
} from './magnitude';
export { findMassiveActivations, type MassiveActivationsOptions } from './massiveActivations';
export type {
  ChannelStability,
  LayerFinding,
  MassiveActivations,
  MassiveChannel,
  NonFiniteRecord,
  RecordedChannel,
  RecordedChannels,
  StrengthPeak,
  StrongestChannel,
} from './massiveFindings';
export type { AnalysisProgress } from './analysisProgress';
export {
  reportQuantization,
  type QuantizationComparison,
  type QuantizationReportOptions,
  type QuantizationWay,
  type UnmeasuredWay,
} from './quantizationReport';
export { drawMap, selectivity, spatialMap, type MapPicture, type Selectivity, type SpatialMap } from './spatialMap';
export type { LayerEffect, SuggestedLayer } from './suggestLayer';
export type { ColourMap } from '../image/colourMap';
export { writeMassiveActivations } from './writeBundle';
