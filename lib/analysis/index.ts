/** `detail-guidance/analysis`: massive activations, traces, maps and features of a model. */
export {
  classCorrespondence,
  partCorrespondence,
  type ClassCorrespondence,
  type PartCorrespondence,
} from './correspondence';
export type { Conditions } from './conditions';
export { extractFeatures, featureKinds, type FeatureOptions, type Features } from './features';
export { traceGates, type GateOptions, type GatesTrace, type GateTrace } from './gates';
export {
  disruptTokens,
  findHighNormTokens,
  type HighNormOptions,
  type HighNormToken,
  type HighNormTokens,
} from './highNormTokens';
export { traceMagnitude, type LayerMagnitude, type MagnitudeOptions, type MagnitudeTrace } from './magnitude';
export {
  findMassiveActivations,
  type LayerFinding,
  type MassiveActivations,
  type MassiveActivationsOptions,
  type MassiveChannel,
} from './massiveActivations';
export type { AnalysisProgress } from './analysisProgress';
export { drawMap, selectivity, spatialMap, type MapPicture, type Selectivity, type SpatialMap } from './spatialMap';
export type { LayerEffect } from './suggestLayer';
export { writeMassiveActivations } from './writeBundle';
