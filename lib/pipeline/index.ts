/** The facade: a loaded model that makes pictures. */
export { loadPipeline } from './load';
export { Pipeline } from './pipeline';
export type { Capture, ExplainedPlan, ForwardResult, ModelSize } from './results';
