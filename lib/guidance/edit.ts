/**
 * An edit in the caller's words: where (layer or path, tap, stream), on what (channels, tokens), and the operation. The
 * same words serve `guidance.branches`, the hooks of `pipeline.forward` and the analyses, and here alone they become what
 * the native side takes.
 */
import { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { invalid } from '../validation/invalid';
import type { PlanEdit, Tap } from '../native';
import { choice, nearest, text } from '../validation/vocabulary';
import { checkTensor, type Tensor } from '../tensor';

import { channelsSchema, chooseChannels, type Channels } from './channels';
import { chooseLayers, layersSchema, type Layers } from './layers';
import { operationNames, operations, operationsWith, type Operation } from './operations';
import { retentionPerEvaluation, type Retention } from './retention';
import type { EditContext, SiteReference } from './term';
import { chooseTokens, imagePart, tokensSchema, type Tokens } from './tokens';

/** Where in the model something acts: on a block by its number, or on any submodule by its path. */
export interface Place {
  /** Block from 0, or several. Either this or `path`; in a hook neither, for the hook's own place. LAYER_OUT_OF_RANGE. */
  layer?: Layers;
  /** Pattern of a submodule's path, `blocks.3.attention`; `*`: one component, `**`: any number. SITE_NOT_FOUND. */
  path?: string;
  /** Where on it. Default: `output`; for `identity` `attention`, what an attention gives before its output projection. */
  tap?: Tap;
  /**
   * Stream of a block with several, as the bundle names it; null: every one. Default: 'image' with `layer` (null for
   * `skip`), null with `path`. On an attention that image and text take part in, 'image' leaves the text's tokens as they
   * are. SITE_NOT_FOUND.
   */
  stream?: string | null;
}

/** An edit: its operation, where it acts, and on which part of the hidden state. */
export interface EditTarget<Operation extends string> extends Place {
  /** What is done to it. */
  operation: Operation;
  /** Channels from 0; 'auto' are the massive activations that the bundle records. Default: all. CHANNEL_OUT_OF_RANGE. */
  channels?: Channels;
  /** Image tokens: indices or a mask. Default: all. TOKEN_OUT_OF_RANGE. */
  tokens?: Tokens;
}

/** z := 0. */
export type ZeroEdit = EditTarget<'zero'>;

/** z := ρ z. */
export interface RetainEdit extends EditTarget<'retain'> {
  /** ρ, a number or (in a sampling run) a schedule over the time t. Default 0. */
  retention?: Retention;
}

/** z := the mean of z over all tokens, per channel. */
export type MeanEdit = EditTarget<'mean'>;

/** z := γ z + β. */
export interface AffineEdit extends EditTarget<'affine'> {
  /** γ, one number for all channels or one for each chosen one. Default 1. BAD_OPTION for another number of them. */
  scale?: number | number[];
  /** β, one number for all channels or one for each chosen one. Default 0. BAD_OPTION for another number of them. */
  shift?: number | number[];
}

/** z := hidden states captured in another run. */
export interface TransplantEdit extends EditTarget<'transplant'> {
  /** The hidden states, [1 or images, tokens, channels], as a capturing hook gives them. BAD_TENSOR. */
  source: Tensor;
}

/** z := what the block or module was given. */
export type SkipEdit = EditTarget<'skip'>;

/** The tokens change places, which keeps each one's norm. */
export interface ShuffleEdit extends EditTarget<'shuffle'> {
  /** Draws the permutation, another one in every step; a whole number from 0. Default 0. */
  seed?: number;
}

/** An attention's output := its values: every token attends to itself alone. */
export type IdentityEdit = EditTarget<'identity'>;

/** A Gaussian blur over the token grid; tokens that do not belong to the grid, those of a text, stay as they are. */
export interface BlurEdit extends EditTarget<'blur'> {
  /** Standard deviation in tokens, 0.01 to 10 000, or Infinity for the mean. Default 1. */
  sigma?: number;
}

/** The chosen channels move by as much, in ‖Δz‖₂ at each token, as retaining ρ of the `reference` channels would: a control. */
export interface MatchEdit extends EditTarget<'match'> {
  /** The channels whose movement is matched; 'auto' are the massive activations that the bundle records. */
  reference: Channels;
  /** ρ of the movement that is matched, a number or (in a sampling run) a schedule over the time t. Default 0. */
  retention?: Retention;
}

/** One change of a hidden state while the model runs. BAD_OPTION, with the field's path, for what does not go together. */
export type Edit =
  | ZeroEdit
  | RetainEdit
  | MeanEdit
  | AffineEdit
  | TransplantEdit
  | SkipEdit
  | ShuffleEdit
  | IdentityEdit
  | BlurEdit
  | MatchEdit;

export const taps = choice(['input', 'output', 'query', 'value', 'attention']);

/** What a place is made of, also a hook's. */
export const placeOptions = {
  layer: layersSchema.optional(),
  path: text().optional(),
  tap: taps.optional(),
  stream: text('the name of a stream').nullable().optional(),
};

const targetOptions = { ...placeOptions, channels: channelsSchema.optional(), tokens: tokensSchema.optional() };

/** The schema of one operation; a parameter of another one is answered with whose it is. */
function member<Name extends Operation>(name: Name) {
  const shape = { operation: z.literal(name), ...targetOptions, ...operations[name] };
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return 'an edit { operation, layer or path, … }';
      const unknown = (issue as unknown as { keys: string[] }).keys[0]!;
      const owners = operationsWith(unknown).map((owner) => `'${owner}'`);
      if (owners.length > 0) return `nothing, since ${owners.join(' and ')} alone use it`;
      return nearest(unknown, Object.keys(shape));
    },
  });
}

export const editSchema = describedBy<Edit>()(
  z.discriminatedUnion(
    'operation',
    [
      member('zero'),
      member('retain'),
      member('mean'),
      member('affine'),
      member('transplant'),
      member('skip'),
      member('shuffle'),
      member('identity'),
      member('blur'),
      member('match'),
    ],
    {
      error: (issue) =>
        issue.code === 'invalid_union'
          ? `one of ${operationNames.map((name) => `'${name}'`).join(', ')}`
          : 'an edit { operation, layer or path, … }',
    },
  ),
);
export type EditRequest = z.output<typeof editSchema>;

/**
 * The edits, one a site, as the native side takes them.
 *
 * @param option where the edit was asked for
 * @param place of the hook that the edit belongs to, for what the edit leaves out
 * @throws BAD_OPTION with neither or both of `layer` and `path`, or a schedule where there is none; LAYER_OUT_OF_RANGE,
 *   CHANNEL_OUT_OF_RANGE, TOKEN_OUT_OF_RANGE, SITE_NOT_FOUND, BAD_TENSOR
 */
export function resolveEdit(option: string, edit: EditRequest, context: EditContext, place?: Place): PlanEdit[] {
  const where = placeOf(option, edit, place);
  const { layer, path, stream, tap } = where;
  // The width of the hidden state and its tokens are known after a block; elsewhere the native side checks them.
  const isBlock = tap === 'output' && (layer !== undefined || context.isBlock(path!));
  const isImage =
    isBlock && (stream === 'image' || context.jointAttention === null || (stream === undefined && layer !== undefined));
  const channels =
    edit.channels === undefined ? null : chooseChannels(`${option}.channels`, edit.channels, context, isBlock);
  const tokens = chooseTokens(`${option}.tokens`, edit.tokens, context, isImage);
  const onImage = isAttention(tap) && (tokens !== null || stream === 'image');
  const complete: Omit<PlanEdit, keyof SiteReference> = {
    operation: edit.operation === 'zero' ? 'retain' : edit.operation,
    channels,
    ...(onImage ? imagePart(tokens, context) : { tokens }),
    ...parametersOf(option, edit, channels?.length ?? (isBlock ? context.hiddenChannels : null), context, isImage),
  };
  return sitesOf(option, where, edit.operation, context).map((site) => ({ ...site, ...complete }));
}

/** A place with its tap, and either a layer or a path. */
type Where = Place & { tap: Tap };

function placeOf(option: string, edit: EditRequest, place: Place = {}): Where {
  const isElsewhere = edit.layer !== undefined || edit.path !== undefined;
  const { layer, path, ...inherited } = isElsewhere ? edit : place;
  const tap = edit.tap ?? inherited.tap ?? (edit.operation === 'identity' ? 'attention' : 'output');
  checkPlace(option, { layer, path });
  // null is a choice too: the place without a stream.
  const stream = edit.stream === undefined ? inherited.stream : edit.stream;
  return {
    ...(layer === undefined ? {} : { layer }),
    ...(path === undefined ? {} : { path }),
    tap,
    ...(stream === undefined ? {} : { stream }),
  };
}

/** @throws BAD_OPTION for neither or both of `layer` and `path` */
export function checkPlace(option: string, { layer, path }: Place): void {
  if ((layer === undefined) !== (path === undefined)) return;
  throw invalid(
    option,
    "either 'layer' or 'path'",
    { layer, path },
    { shown: layer === undefined ? 'neither' : 'both' },
  );
}

/**
 * The numbers of an operation.
 *
 * @param channels how many are edited; null where that is not known before the model runs
 */
function parametersOf(
  option: string,
  edit: EditRequest,
  channels: number | null,
  context: EditContext,
  isImage: boolean,
): Partial<PlanEdit> {
  const { evaluations, tokenGrid, hiddenChannels } = context;
  switch (edit.operation) {
    case 'zero':
      return { retention: retentionPerEvaluation(`${option}.retention`, 0, evaluations) };
    case 'retain':
      return { retention: retentionPerEvaluation(`${option}.retention`, edit.retention, evaluations) };
    case 'affine':
      return {
        scale: oneEach(`${option}.scale`, edit.scale, channels),
        shift: oneEach(`${option}.shift`, edit.shift, channels),
      };
    case 'transplant': {
      const shape = isImage ? [null, tokenGrid[0] * tokenGrid[1], hiddenChannels] : [null, null, null];
      return { source: checkTensor(edit.source, { name: `${option}.source`, shape, finite: true }) };
    }
    case 'match':
      return {
        reference: chooseChannels(`${option}.reference`, edit.reference, context, channels !== null),
        retention: retentionPerEvaluation(`${option}.retention`, edit.retention, evaluations),
      };
    case 'blur':
      return { sigma: edit.sigma, grid: [tokenGrid[0], tokenGrid[1]] };
    case 'shuffle':
      return { seed: edit.seed };
    default:
      return {};
  }
}

/** Taps on an attention's tokens, which are not parted into streams. */
function isAttention(tap: Tap): tap is 'attention' | 'query' | 'value' {
  return tap === 'attention' || tap === 'query' || tap === 'value';
}

/** The sites of a place. @throws LAYER_OUT_OF_RANGE, SITE_NOT_FOUND */
export function sitesOf(
  option: string,
  { layer, path, tap, stream }: Where,
  operation: Operation | null,
  context: EditContext,
): SiteReference[] {
  if (path !== undefined) {
    const inside = isAttention(tap) && stream === 'image';
    const site = { path, tap, stream: inside ? null : (stream ?? null) };
    context.checkSite(option, site);
    return [site];
  }
  return chooseLayers(layer!).flatMap((index): SiteReference[] => {
    if (isAttention(tap)) {
      return context.attentions(`${option}.layer`, index).map((site) => ({ ...site, tap }));
    }
    if (tap === 'input') return [{ ...context.output(`${option}.layer`, index, stream ?? 'image'), tap, stream: null }];
    if (stream === null || (stream === undefined && operation === 'skip')) {
      return context.everyStream(`${option}.layer`, index);
    }
    return [context.output(`${option}.layer`, index, stream ?? 'image')];
  });
}

/** @param count channels; null where nobody knows them, and one number stands for all */
function oneEach(option: string, value: number | number[], count: number | null): number[] {
  if (typeof value === 'number') return new Array<number>(count ?? 1).fill(value);
  if (value.length === count) return value;
  const expected =
    count === null ? "a number, or 'channels' beside the list" : `one number, or one for each of ${count} channels`;
  throw invalid(option, expected, value, { shown: `${value.length} numbers` });
}
