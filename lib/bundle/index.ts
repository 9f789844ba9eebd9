export { openBundle, type Bundle } from './open';
export { bundleSchema, inputRoles, type BundleInput, type BundleManifest } from './schema';
