export { plan } from './plan';
export type { Plan, PlanAdjustment, PlanBranch, PlannedModel, PlanStep } from './types';
export { explain, type ExplainedSteps, type PlanExplanation } from './explain';
