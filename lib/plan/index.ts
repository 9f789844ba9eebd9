export { plan, type Plan, type PlanAdjustment, type PlanBranch, type PlannedModel, type PlanStep } from './plan';
