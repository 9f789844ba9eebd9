/**
 * Disruption of massive activations, Gan et al., arXiv 2510.11538: after block m the channels I_MA of the hidden state
 * are scaled, z̃_i = ρ_t · z_i for i in I_MA. The model so edited, D_m, keeps the global semantics and loses local
 * detail: the detail-deficient model.
 */
import { z } from 'zod';

import type { PlanEdit } from '../native';
import { either, text } from '../validation/vocabulary';

import { channelsSchema, chooseChannels, recordedLayer, type Channels } from './channels';
import { controlSchema, controlledEdit, type Control } from './control';
import { chooseLayers, layersSchema, type Layers } from './layers';
import { retentionPerEvaluation, retentionSchema, type Retention } from './retention';
import { edited, type Branch, type GuidanceContext } from './term';
import { chooseTokens, tokensSchema, type Tokens } from './tokens';

/** What is disrupted, and how much is left of it. */
export interface DisruptionOptions {
  /** Blocks whose output is disrupted, from 0. Default 'auto': the bundle's. LAYER_OUT_OF_RANGE; BAD_OPTION without any. */
  layer?: 'auto' | Layers;
  /** Channels that are disrupted. Default 'auto': the bundle's massive activations. CHANNEL_OUT_OF_RANGE; BAD_OPTION without. */
  channels?: Channels;
  /** ρ, what is left of them: a number, or a schedule over the time t. Default 0. */
  retention?: Retention;
  /** Image tokens that are disrupted: indices or a mask. Default: all. TOKEN_OUT_OF_RANGE. */
  tokens?: Tokens;
  /** Stream of a block with several, as the bundle names it. Default 'image'. SITE_NOT_FOUND. */
  stream?: string;
  /** A control in place of the disruption itself. Default: none. */
  control?: Control;
}

export const disruptionOptions = {
  layer: either([z.literal('auto'), layersSchema], "'auto', a block index from 0, or a list of them").default('auto'),
  channels: channelsSchema.default('auto'),
  retention: retentionSchema.default(0),
  tokens: tokensSchema.optional(),
  stream: text('the name of a stream').default('image'),
  control: controlSchema.optional(),
};

export type Disruption = z.output<z.ZodObject<typeof disruptionOptions>>;

/** D_m(c), and its name. `option` is where the disruption was asked for. */
export function detailDeficient(option: string, disruption: Disruption, context: GuidanceContext): Branch {
  const { layer, stream, retention, control } = disruption;
  const layers = layer === 'auto' ? [recordedLayer(`${option}.layer`, context)] : chooseLayers(layer);
  const channels = chooseChannels(`${option}.channels`, disruption.channels, context);
  const tokens = chooseTokens(`${option}.tokens`, disruption.tokens, context);
  const rho = retentionPerEvaluation(`${option}.retention`, retention, context.evaluations);
  const edits = layers.map((index): PlanEdit => {
    const site = context.output(`${option}.layer`, index, stream);
    const edit: PlanEdit = { ...site, operation: 'retain', channels, tokens, retention: rho };
    return control ? controlledEdit(option, control, edit, index, context) : edit;
  });
  const where = `layer ${layers.join(', ')}, channels ${channels.join(', ')}${tokens ? `, ${tokens.length} tokens` : ''}`;
  return edited(control ? `control (${control.kind}, ${where})` : `detail-deficient (${where})`, edits);
}
