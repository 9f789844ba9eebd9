export { plan, type Plan, type PlanAdjustment, type PlanBranch, type PlannedModel, type PlanStep } from './plan';
export { explain, type ExplainedSteps, type PlanExplanation } from './explain';
