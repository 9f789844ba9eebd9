/** What edits are resolved against: the model and the call's token grid. */
import type { EditContext } from '../guidance';
import { matches } from './depth';
import { checkSite, findAttentions, findOutput, findOutputs } from './site';
import type { PlannedModel } from './types';

/** For a single run of the model; a schedule adds its evaluations. */
export function editContext(model: PlannedModel, tokenGrid: readonly [number, number]): EditContext {
  const { bundle, sites, layers } = model;
  return {
    evaluations: null,
    layers,
    hiddenChannels: bundle.transformer.hiddenChannels,
    tokenGrid,
    jointAttention: sites.some(({ stream }) => stream === 'text')
      ? (bundle.transformer.jointAttention ?? 'text-first')
      : null,
    massiveActivations: bundle.massiveActivations ?? null,
    output: (option, layer, stream) => findOutput(option, layer, stream, model),
    checkSite: (option, site) => checkSite(option, site, model),
    isBlock: (path) => {
      const outputs = sites.filter((site) => site.tap === 'output' && matches(path, site.path));
      return outputs.length > 0 && outputs.every(({ block }) => block !== null);
    },
    everyStream: (option, layer) => findOutputs(option, layer, model),
    attentions: (option, layer) => findAttentions(option, layer, model),
  };
}
