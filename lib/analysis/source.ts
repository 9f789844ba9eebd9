/** What the analyses need of a pipeline. */
import type { Pipeline } from '../pipeline';

/** A loaded model whose hidden states can be recorded while it samples. */
export type ActivationSource = Pick<
  Pipeline,
  'bundle' | 'sites' | 'plan' | 'generate' | 'encodePrompt' | 'forward' | 'shapes' | 'activations'
>;
