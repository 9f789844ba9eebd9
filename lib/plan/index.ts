export { editContext } from './context';
export { planOfImage } from './perImage';
export { countImages, plan } from './plan';
export { defaultStrength } from './start';
export type { Plan, PlanBranch, PlannedModel, PlanStep } from './types';
export { explain, type ExplainedBranch, type ExplainedSteps, type PlanExplanation } from './explain';
