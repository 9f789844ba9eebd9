export { openBundle, type Bundle } from './open';
export { bundleSchema, inputRoles, type BundleInput, type BundleManifest } from './schema';
export type { Expression, PositionExpression, TextConditioning, TextEncoderManifest, TokenizerManifest } from './text';
export type { VaeManifest } from './vae';
