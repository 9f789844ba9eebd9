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
export type {
  BundleManifest,
  EncodedExpression,
  Expression,
  GridExpression,
  JoinExpression,
  MeasuredPrecision,
  PositionExpression,
  SizeExpression,
  StoredLayerManifest,
  StoredQuantization,
  TextConditioningManifest,
  TextEncoderManifest,
  TokenizerManifest,
  TransformerManifest,
  VaeManifest,
  ZeroPositionsExpression,
  ZerosExpression,
  ZerosSize,
} from './manifest';
export { isBounded, mostNumbers } from './bounds';
export { frameRateOf } from './frameRate';
export { openBundle, opened, type OpenBundle } from './open';
export { bundleSchema, inputRoles } from './schema';
export { fingerprintFile, withRegularFile, type SealedFile } from './sealed';
