/**
 * An edit in the caller's words: (layer or path, stream, channels, tokens, operation), for branches of one's own and
 * for `pipeline.forward`.
 */
import { z } from 'zod';

import { DetailGuidanceError } from '../validation/errors';
import type { NativeEdit } from '../native';
import { choice, either, finite, list, strictObject, text, whole } from '../validation/vocabulary';
import { checkTensor, type Tensor } from '../tensor';

import { channelsSchema, chooseChannels } from './channels';
import { chooseLayers, layersSchema } from './layers';
import { retentionPerEvaluation, retentionSchema } from './retention';
import type { GuidanceContext, SiteReference } from './term';
import { chooseTokens, imagePart, tokensSchema } from './tokens';

export const operations = [
  'zero',
  'retain',
  'mean',
  'affine',
  'transplant',
  'skip',
  'shuffle',
  'identity',
  'blur',
  'match',
] as const;

const perChannel = either(
  [finite(), list(finite(), 'a list of numbers')],
  'a number, or a list with one for each channel,',
);

export const editSchema = strictObject({
  /**
   * zero: z := 0 · retain: z := ρ_t z · mean: the mean over all tokens · affine: γ z + β · transplant: values captured in
   * another run · skip: what the block was given · shuffle: tokens change places · identity: attention's own values ·
   * blur: Gaussian over the token grid · match: moves by as much as retaining ρ of `reference` would.
   */
  operation: choice(operations),
  /** 0-based block, or several. Either this or `path`. */
  layer: layersSchema.optional(),
  /** Path pattern of a submodule, `blocks.3.attention`; `*` is one component, `**` any number. */
  path: text().optional(),
  /** Where on the submodule. Default: attention for identity, otherwise output. */
  tap: choice(['input', 'output', 'query', 'value', 'attention']).optional(),
  /**
   * Stream of a block with several. Default image, with `path`: all. On an attention that image and text take part in,
   * 'image' leaves the text's tokens as they are.
   */
  stream: text('the name of a stream').optional(),
  /** Channels of the hidden state; 'auto' are the massive activations that the bundle records. Default: all. */
  channels: channelsSchema.optional(),
  /** Image tokens: indices or a mask. Default: all. */
  tokens: tokensSchema.optional(),
  /** ρ_t of `retain`. Default 0. */
  retention: retentionSchema.optional(),
  /** γ of `affine`. Default 1. */
  scale: perChannel.optional(),
  /** β of `affine`. Default 0. */
  shift: perChannel.optional(),
  /** Hidden states for `transplant`, [1 or images, tokens, channels], as a capturing hook gives them. */
  source: z
    .custom<Tensor>((value) => typeof value === 'object' && value !== null && 'data' in value, {
      error: 'a tensor { data, shape, dtype }',
    })
    .optional(),
  /** Channels whose change by `retention` (zeroing by default) `match` equals in norm. */
  reference: channelsSchema.optional(),
  /** Standard deviation of `blur` in tokens; Infinity is the mean. Default 1. */
  sigma: either([finite(0.01, 10_000), z.literal(Infinity)], 'a number from 0.01 to 10000, or Infinity,').optional(),
  /** Draws the permutation of `shuffle`. Default 0. */
  seed: whole(0).optional(),
});
export type EditOptions = z.output<typeof editSchema>;

type Operation = EditOptions['operation'];

/** The options that say something about an operation, besides where it acts. */
const parameters: Readonly<Record<Operation, readonly (keyof EditOptions)[]>> = {
  zero: [],
  retain: ['retention'],
  mean: [],
  affine: ['scale', 'shift'],
  transplant: ['source'],
  skip: [],
  shuffle: ['seed'],
  identity: [],
  blur: ['sigma'],
  match: ['reference', 'retention'],
};
const required: Partial<Record<Operation, keyof EditOptions>> = { transplant: 'source', match: 'reference' };

/**
 * The edits, one a site, as the native side takes them.
 *
 * @param option where the edit was asked for
 * @throws BAD_OPTION for options that do not belong to the operation, or with neither or both of `layer` and `path`;
 *   LAYER_OUT_OF_RANGE, CHANNEL_OUT_OF_RANGE, TOKEN_OUT_OF_RANGE, SITE_NOT_FOUND, BAD_TENSOR
 */
export function resolveEdit(option: string, edit: EditOptions, context: GuidanceContext): NativeEdit[] {
  checkParameters(option, edit);
  const { operation } = edit;
  const channels = edit.channels === undefined ? null : chooseChannels(`${option}.channels`, edit.channels, context);
  const tokens = chooseTokens(`${option}.tokens`, edit.tokens, context);
  const isImage = isAttention(tapOf(edit)) && (tokens !== null || edit.stream === 'image');
  const complete: Omit<NativeEdit, keyof SiteReference> = {
    operation: operation === 'zero' ? 'retain' : operation,
    channels,
    ...(isImage ? imagePart(tokens, context) : { tokens }),
    ...parametersOf(option, edit, channels?.length ?? context.hiddenChannels, context),
  };
  return sitesOf(option, edit, context).map((site) => ({ ...site, ...complete }));
}

function parametersOf(
  option: string,
  edit: EditOptions,
  channels: number,
  context: GuidanceContext,
): Partial<NativeEdit> {
  switch (edit.operation) {
    case 'zero':
      return { retention: context.evaluations.map(() => 0) };
    case 'retain':
      return { retention: retentionPerEvaluation(`${option}.retention`, edit.retention ?? 0, context) };
    case 'affine':
      return {
        scale: oneEach(`${option}.scale`, edit.scale ?? 1, channels),
        shift: oneEach(`${option}.shift`, edit.shift ?? 0, channels),
      };
    case 'transplant':
      return {
        source: checkTensor(edit.source, { name: `${option}.source`, shape: sourceShape(edit, context), finite: true }),
      };
    case 'match':
      return {
        reference: chooseChannels(`${option}.reference`, edit.reference!, context),
        retention: retentionPerEvaluation(`${option}.retention`, edit.retention ?? 0, context),
      };
    case 'blur':
      return { sigma: edit.sigma ?? 1, grid: [context.tokenGrid[0], context.tokenGrid[1]] };
    case 'shuffle':
      return { seed: edit.seed ?? 0 };
    default:
      return {};
  }
}

/** Where the hidden state's shape is known: the image stream after a block. Elsewhere the native side checks it. */
function sourceShape(
  { layer, tap = 'output', stream = 'image' }: EditOptions,
  context: GuidanceContext,
): (number | null)[] {
  if (layer === undefined || tap !== 'output' || stream !== 'image') return [null, null, null];
  return [null, context.tokenGrid[0] * context.tokenGrid[1], context.hiddenChannels];
}

function tapOf({ operation, tap }: EditOptions): NativeEdit['tap'] {
  return tap ?? (operation === 'identity' ? 'attention' : 'output');
}

/** Taps on an attention's tokens, which are not parted into streams. */
function isAttention(tap: NativeEdit['tap']): tap is 'attention' | 'query' | 'value' {
  return tap === 'attention' || tap === 'query' || tap === 'value';
}

function sitesOf(option: string, edit: EditOptions, context: GuidanceContext): SiteReference[] {
  const { operation, layer, path, stream } = edit;
  const where = tapOf(edit);
  if (path !== undefined) {
    const inside = isAttention(where) && stream === 'image';
    return [{ path, tap: where, stream: inside ? null : (stream ?? null) }];
  }
  return chooseLayers(layer!).flatMap((index): SiteReference[] => {
    if (isAttention(where)) {
      return context.attentions(`${option}.layer`, index).map((site) => ({ ...site, tap: where }));
    }
    if (operation === 'skip' && stream === undefined) return context.everyStream(`${option}.layer`, index);
    const site = context.output(`${option}.layer`, index, stream ?? 'image');
    return [where === 'output' ? site : { ...site, tap: where, stream: null }];
  });
}

function oneEach(option: string, value: number | number[], count: number): number[] {
  if (typeof value === 'number') return new Array<number>(count).fill(value);
  if (value.length === count) return value;
  throw new DetailGuidanceError(
    'BAD_OPTION',
    `${option} has ${value.length} numbers for ${count} channels; one for each channel would be right.`,
    {
      found: value.length,
      expected: `${count} numbers`,
    },
  );
}

function checkParameters(option: string, edit: EditOptions): void {
  const refuse = (problem: string, expected: string) => {
    throw new DetailGuidanceError('BAD_OPTION', `${option} ${problem}; ${expected} would be right.`, {
      found: problem,
      expected,
    });
  };
  if ((edit.layer === undefined) === (edit.path === undefined)) {
    refuse(
      edit.layer === undefined ? 'says not where it acts' : 'has both a layer and a path',
      "either 'layer' or 'path'",
    );
  }
  const allowed = parameters[edit.operation];
  const foreign = Object.values(parameters)
    .flat()
    .find((key) => edit[key] !== undefined && !allowed.includes(key));
  if (foreign !== undefined) {
    const fitting = operations.filter((operation) => parameters[operation].includes(foreign));
    refuse(`has '${foreign}', which '${edit.operation}' does not use`, `'${foreign}' with ${fitting.join(' or ')}`);
  }
  const missing = required[edit.operation];
  if (missing !== undefined && edit[missing] === undefined)
    refuse(`has no '${missing}'`, `'${missing}' with '${edit.operation}'`);
}
