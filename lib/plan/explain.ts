/** What a plan will compute, in words and in numbers. */
import type { Plan } from './types';

/** A branch in some evaluations. */
export interface ExplainedBranch {
  /** As in the plan. */
  name: string;
  /** In the sum. */
  weight: number;
  /** Blocks that are computed for it alone. */
  blocks: number;
  /** Its difference to its reference is that of an earlier evaluation. */
  reused: boolean;
}

/** A run of evaluations that compute the same. */
export interface ExplainedSteps {
  /** First evaluation, from 0. */
  from: number;
  /** Last evaluation. */
  to: number;
  /** Each branch that is evaluated, with its weight, and how many blocks are computed for it alone. */
  branches: ExplainedBranch[];
  /** Rows per image in the model's batch. */
  rows: number;
  /** Blocks evaluated per image, a block for one row being one. */
  blocks: number;
  /** The same without sharing. */
  blocksUnshared: number;
  /** Adjustments after or before the sum, by kind. */
  adjustments: string[];
}

/** What a plan will compute. */
export interface PlanExplanation {
  /** In order of evaluation, equal ones together. */
  steps: ExplainedSteps[];
  /** Evaluations of the sampler, per image. */
  evaluations: number;
  /** Blocks in all of them, per image. */
  blocks: number;
  /** Expected cost against classifier-free guidance in every step: blocks over 2 · layers · evaluations. */
  costOverClassifierFree: number;
  /** All of it as text. */
  text: string;
}

/** Explains a plan. The expected cost counts transformer blocks; what is outside them is not counted. */
export function explain(plan: Plan): PlanExplanation {
  const steps: ExplainedSteps[] = [];
  plan.steps.forEach((_, index) => {
    const step = explainStep(plan, index);
    const last = steps.at(-1);
    if (last && same(last, step)) last.to = index;
    else steps.push(step);
  });
  const evaluations = plan.steps.length;
  const blocks = steps.reduce((sum, step) => sum + step.blocks * (step.to - step.from + 1), 0);
  const costOverClassifierFree = blocks / (2 * plan.layers * evaluations);
  const explanation = { steps, evaluations, blocks, costOverClassifierFree };
  return { ...explanation, text: inWords(plan, explanation) };
}

function explainStep(plan: Plan, index: number): ExplainedSteps {
  const { weights, reuse, adjustments } = plan.steps[index]!;
  const present = plan.branches
    .map((branch, at) => ({ ...branch, at, weight: weights[at]!, reused: reuse[at]! }))
    .filter(({ at, weight }) => weight !== 0 || isReference(plan, index, at));
  const evaluated = present.filter((branch) => !branch.reused);
  // Of the branches under one conditioning, the one that is edited last runs whole and the others join it up to their
  // first edit.
  const whole = new Map<string, (typeof evaluated)[number]>();
  for (const branch of evaluated) {
    const known = whole.get(branch.conditioning);
    if (!known || branch.untouched > known.untouched) whole.set(branch.conditioning, branch);
  }
  const branches = present.map((branch) => {
    const { name, weight } = branch;
    if (branch.reused) return { name, weight, blocks: 0, reused: true };
    const shared = plan.partialForward && whole.get(branch.conditioning) !== branch ? branch.untouched : 0;
    return { name, weight, blocks: plan.layers - shared, reused: false };
  });
  return {
    from: index,
    to: index,
    branches,
    rows: evaluated.length,
    blocks: branches.reduce((sum, branch) => sum + branch.blocks, 0),
    blocksUnshared: evaluated.length * plan.layers,
    adjustments: adjustments.map(({ kind }) => kind),
  };
}

/** Whether a branch is computed because another one's difference is to it. */
function isReference(plan: Plan, index: number, at: number): boolean {
  const { weights } = plan.steps[index]!;
  return plan.branches.some(({ reference }, other) => reference === at && weights[other] !== 0);
}

function same(a: ExplainedSteps, b: ExplainedSteps): boolean {
  return JSON.stringify({ ...a, from: 0, to: 0 }) === JSON.stringify({ ...b, from: 0, to: 0 });
}

function inWords(
  plan: Plan,
  { steps, evaluations, blocks, costOverClassifierFree }: Omit<PlanExplanation, 'text'>,
): string {
  const { kind } = plan.scheduler;
  const lines = [
    `${plan.images} ${plan.images === 1 ? 'image' : 'images'}, ${plan.numInferenceSteps} steps of ${kind}, ${evaluations} evaluations of ${plan.layers} blocks`,
  ];
  for (const { from, to, branches, rows, blocks, blocksUnshared, adjustments } of steps) {
    lines.push(
      `${from === to ? `evaluation ${from}` : `evaluations ${from} to ${to}`}: ${rows} ${rows === 1 ? 'row' : 'rows'}, ${blocks} blocks${blocks < blocksUnshared ? ` (${blocksUnshared} without sharing)` : ''}`,
    );
    for (const { name, weight, blocks: own, reused } of branches) {
      const shared = own < plan.layers ? ', the rest shared' : '';
      const cost = reused ? 'its difference is reused' : `${own} of ${plan.layers} blocks${shared}`;
      lines.push(`  ${signed(weight)} · ${name}: ${cost}`);
    }
    if (adjustments.length > 0) lines.push(`  then ${adjustments.join(', ')}`);
  }
  for (const { name, adaptiveReuse } of plan.branches) {
    if (!adaptiveReuse) continue;
    lines.push(
      `${name}: reused while ${adaptiveReuse.path} moves by less than ${adaptiveReuse.threshold}, which is not counted here`,
    );
  }
  lines.push(
    `${blocks} blocks an image in all, ${costOverClassifierFree.toFixed(3)} of plain classifier-free guidance`,
  );
  return lines.join('\n');
}

function signed(weight: number): string {
  const rounded = Number(weight.toPrecision(6));
  return rounded < 0 ? `− ${-rounded}` : `+ ${rounded}`;
}
