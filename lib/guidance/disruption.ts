/**
 * Disruption of massive activations, Gan et al., arXiv 2510.11538: after block m the channels I_MA of the hidden state
 * are scaled, z̃_i = ρ_t · z_i for i in I_MA. The model so edited, D_m, keeps the global semantics and loses local
 * detail: the detail-deficient model.
 */
import { z } from 'zod';

import type { NativeEdit } from '../native';
import { either, text } from '../validation/vocabulary';

import { channelsSchema, chooseChannels, recordedLayer } from './channels';
import { controlSchema, controlledEdit } from './control';
import { chooseLayers, layersSchema } from './layers';
import { retentionPerEvaluation, retentionSchema } from './retention';
import { edited, type Branch, type GuidanceContext } from './term';
import { chooseTokens, tokensSchema } from './tokens';

/** What is disrupted, and how much is left of it. */
export const disruptionOptions = {
  /** 0-based block whose output is disrupted, or several. Default: the one that the bundle records. */
  layer: either([z.literal('auto'), layersSchema], "'auto', a block index from 0, or a list of them").default('auto'),
  /** Channels of the hidden state. Default: the massive activations that the bundle records. */
  channels: channelsSchema.default('auto'),
  /** ρ_t. Default 0. */
  retention: retentionSchema.default(0),
  /** Image tokens that are disrupted: indices or a mask. Default: all. */
  tokens: tokensSchema.optional(),
  /** Stream of a block with several. Default image. */
  stream: text('the name of a stream').default('image'),
  /** A control in place of the disruption itself. Default: none. */
  control: controlSchema.optional(),
};

export type Disruption = z.output<z.ZodObject<typeof disruptionOptions>>;

/** D_m(c), and its name. `option` is where the disruption was asked for. */
export function detailDeficient(option: string, disruption: Disruption, context: GuidanceContext): Branch {
  const { layer, stream, retention, control } = disruption;
  const layers = layer === 'auto' ? [recordedLayer(`${option}.layer`, context)] : chooseLayers(layer);
  const channels = chooseChannels(`${option}.channels`, disruption.channels, context);
  const tokens = chooseTokens(`${option}.tokens`, disruption.tokens, context);
  const rho = retentionPerEvaluation(`${option}.retention`, retention, context);
  const edits = layers.map((index): NativeEdit => {
    const site = context.output(`${option}.layer`, index, stream);
    const edit: NativeEdit = { ...site, operation: 'retain', channels, tokens, retention: rho };
    return control ? controlledEdit(option, control, edit, index, context) : edit;
  });
  const where = `layer ${layers.join(', ')}, channels ${channels.join(', ')}${tokens ? `, ${tokens.length} tokens` : ''}`;
  return edited(control ? `control (${control.kind}, ${where})` : `detail-deficient (${where})`, edits);
}
