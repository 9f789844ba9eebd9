/** What a pipeline tells and gives, apart from pictures and records. */
import type { WeightSize } from '../model/torchScript';
import type { Site } from '../native';
import type { Plan, PlanExplanation } from '../plan';
import type { Tensor } from '../tensor';

/** How large a model is. */
export interface ModelSize extends WeightSize {
  /** Blocks, over all containers. */
  blocks: number;
}

/** What a capturing hook saw at one site. */
export interface Capture extends Site {
  /** The hidden state that arrived there, [rows, tokens, channels]. */
  tensor: Tensor;
}

/** A plan, as `pipeline.plan` gives it. */
export interface ExplainedPlan extends Plan {
  /** What will be computed, in words and in numbers. Not enumerable: the plan stays plain data for who copies it. */
  explain(): PlanExplanation;
}

/** What `pipeline.forward` gives: the model's output, and what each capturing hook saw, in their order. */
export interface ForwardResult {
  /** What the model gives. */
  output: Tensor;
  /** One for each site that a capturing hook matched, in the order of the hooks; before any edit is made there. */
  captures: Capture[];
}
